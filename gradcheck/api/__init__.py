"""The Python API: what a person calls in code of their own."""
