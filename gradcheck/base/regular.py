"""Files by which two processes exchange something: read only if they are plain files, and not endless."""

import os
import stat

MOST = 2**30
BINARY = getattr(os, "O_BINARY", 0)  # Windows would write a line's end as two bytes


def read_regular(path: str, most: int = MOST) -> bytes:
    """The first `most` bytes. Raises OSError for what is no file: a pipe would be waited for, a link leads elsewhere."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | BINARY
    descriptor = os.open(path, flags)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        return file.read(most)
