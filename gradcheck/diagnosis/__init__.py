"""Stage 5, diagnosis: why a line is wrong, and fixes that replay has proved."""
