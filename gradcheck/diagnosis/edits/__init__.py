"""Edits of a piece of source: what a person may have meant to write, the smallest change first."""
