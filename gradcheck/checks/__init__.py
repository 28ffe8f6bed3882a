"""Stage 4, checks: one file per rule; each turns the recorded evidence into findings, without printing."""
