"""Edits of a script or a notebook given as bytes: spans are replaced, and every other byte stays as it is."""
