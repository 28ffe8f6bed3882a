"""Units and layers over the data sweep (GC2xx)."""
