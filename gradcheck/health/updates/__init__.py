"""Initialisation and parameter updates (GC4xx)."""
