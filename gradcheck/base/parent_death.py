"""A worker process ends when the process that started it does, however that ends."""

import ctypes
import os
import signal
import sys
import threading
import time

_PDEATHSIG = 1
_LOOK_S = 0.5


def end_with_parent(parent: int) -> None:
    """By the kernel on Linux. Elsewhere a thread looks whether another process becomes the parent: on Windows, what was
    started by a virtual environment has that one's process for a parent."""
    if sys.platform == "linux":
        try:
            if not ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
                if os.getppid() != parent:  # it has died before
                    os._exit(1)
                return
        except (OSError, AttributeError):
            pass
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)
