"""The recording as a graph: operations, and what flows from where to where."""
