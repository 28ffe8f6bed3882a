"""Layer checks: one layer, run on inputs that expose what its author's own inputs hide."""
