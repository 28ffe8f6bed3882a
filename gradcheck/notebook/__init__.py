"""`%load_ext gradcheck`: the magics `%%gradcheck` and `%gradcheck_fix`. It is on top of the stages, beside the command
line."""
