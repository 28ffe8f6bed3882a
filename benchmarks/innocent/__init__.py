"""Innocent edits: programs rewritten without changing what they compute. None of them may change a verdict."""
