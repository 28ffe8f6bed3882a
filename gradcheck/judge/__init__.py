"""Which forward value each gradient belongs to, and whether it is right."""
