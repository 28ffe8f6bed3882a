"""Verdicts: one idea a file about what a gradient, compared with the replay, turns out to be."""
