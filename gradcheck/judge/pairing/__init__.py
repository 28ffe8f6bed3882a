"""Pairing: the evidence for which forward value a gradient is the gradient of."""
