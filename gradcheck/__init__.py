"""gradcheck: the debugger for hand-written backward passes.

One real training step is recorded undisturbed; every question is answered by replaying the recording.
"""

__version__ = "0.1.0"
