"""What became of the gradients of a step: lines that read the wrong one, and how each parameter moved."""
