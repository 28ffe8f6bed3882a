"""Stage 1, program: what the user points at, as source units; runs it and knows its cells and lines."""
