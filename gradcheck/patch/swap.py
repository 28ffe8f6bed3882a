"""Two files exchanged in one step, so that what was there is still there, to be looked at."""

import ctypes
import errno
import os
import sys

_SWAP = 2  # the same number on Linux and on macOS
_HERE = -100  # AT_FDCWD
_UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


def swap(first: str, second: str) -> bool:
    """Whether the system and the file system know of it. Raises OSError if they do, and it failed."""
    one, other = os.fsencode(first), os.fsencode(second)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            failed = library.renameat2(_HERE, one, _HERE, other, _SWAP)
        elif sys.platform == "darwin":
            failed = library.renamex_np(one, other, _SWAP)
        else:
            return False
    except (OSError, AttributeError, TypeError):  # no such library, or an old one
        return False
    if failed and (number := ctypes.get_errno()) not in _UNKNOWN:
        raise OSError(number, os.strerror(number), second)
    return not failed
