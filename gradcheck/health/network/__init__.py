"""What a stretch of the tape computes, in terms of layers: found from the dataflow, never from names."""
