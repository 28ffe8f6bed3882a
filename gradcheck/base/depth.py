"""How deep a call may go: sources of hundreds of levels (`a + b + c + ...`, `elif`) are walked by functions that call
themselves, some of them several times for each level."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAMS = sys.getrecursionlimit()  # what a program expects
_OURS = 4000  # Python's own parser takes three C frames for each: more would not fit on the stack


@contextmanager
def deep() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _OURS))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
