"""Generated sequences, compared with the training data (GC6xx)."""
