"""Linux's Landlock: from here on the kernel itself lets this process, and all that it starts, write in some folders only.

It reaches what Python cannot: compiled code, and other programs. It cannot be undone, so it is for a process of ours.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same number on every kind of machine
_NO_NEW_PRIVILEGES = 38
_OLDEST = 3  # the first version that knows of truncation
# Writing, removing, making of any kind, renaming between folders, truncating; not executing and reading.
_WRITES = 1 << 1 | sum(1 << bit for bit in range(4, 15))
_DEVICES = ("/dev", "/proc")


def only_writes_in(folders: Sequence[str]) -> bool:
    """Whether the kernel could be asked for it. Of threads, it holds for this one and those that it starts."""
    if sys.platform != "linux":
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True)
        if call.syscall(_CREATE, None, ctypes.c_size_t(0), 1) < _OLDEST:
            return False
        asked = struct.pack("=Q", _WRITES)
        rules = call.syscall(_CREATE, asked, ctypes.c_size_t(len(asked)), 0)
        if rules < 0:
            return False
        try:
            for folder in (*folders, *_DEVICES):
                below = os.open(folder, os.O_PATH | os.O_CLOEXEC)
                try:
                    if call.syscall(_ADD, rules, 1, struct.pack("=Qi", _WRITES, below), 0):
                        return False
                finally:
                    os.close(below)
            return not call.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) and not call.syscall(_RESTRICT, rules, 0)
        finally:
            os.close(rules)
    except (OSError, AttributeError):
        return False
