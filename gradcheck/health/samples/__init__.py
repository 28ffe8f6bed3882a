"""Generated sequences, held against the training data (GC6xx)."""
