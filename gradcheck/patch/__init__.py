"""From verified fixes to edited files. It is on top of the stages, beside the command line; imports no torch."""
