"""Front ends: each runs with a program and writes down what it did. Nothing else knows which library that was."""
