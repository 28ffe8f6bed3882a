"""The health of a network in tables and words: one file per family, from its records."""
