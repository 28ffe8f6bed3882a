"""The catalogue of mistakes: one file for each, with the edits that repair it, what it predicts, and its sentence."""
