"""Small layers the programs beside this folder import."""
