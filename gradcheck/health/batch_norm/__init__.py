"""Batch normalisation (GC3xx)."""
