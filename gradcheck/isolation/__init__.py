"""Stage 7, isolation: what each fault costs, measured by training the recorded step with and without it.

The recorded step is compiled to a Python function that runs it in a loop, on fresh minibatch draws and with the
program's own update rule. Any of its manual gradients can be replaced by the true one on the way.
"""
