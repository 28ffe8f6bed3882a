"""Two processes: the parent, which waits and reads, and the child, which runs the program."""
