"""The NumPy front end: sees what a rewritten program does with arrays, and writes it down in the terms of torch."""
