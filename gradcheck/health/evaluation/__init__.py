"""The code that evaluates and samples, held against the training step (GC5xx, GC304)."""
