"""From verified fixes to edited files. Stands on top of the stages, beside the command line; imports no torch."""
