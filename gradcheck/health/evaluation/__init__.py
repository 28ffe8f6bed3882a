"""The code that evaluates and samples, compared with the training step (GC5xx, GC304)."""
