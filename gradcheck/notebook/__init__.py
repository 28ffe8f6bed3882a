"""`%load_ext gradcheck`: the magics `%%gradcheck` and `%gradcheck_fix`. Stands on top of the stages, beside the command
line."""
