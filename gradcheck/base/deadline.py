"""The end of the time for something. What takes long looks at it now and then, wherever it was called from."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# In processor time, so that what is found does not depend on what else the machine does.
_END: ContextVar[float] = ContextVar("deadline", default=math.inf)
_EVERY_S = 1e-3  # to ask for processor time is a system call, which lets other processes go first
_looked = 0.0


class TimeIsUpError(BaseException):
    """Not an Exception: whatever is done about a replay that fails is not done about this."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """For so many seconds of processor time; less, where that is inside of a shorter time."""
    token = _END.set(min(_END.get(), time.process_time() + seconds))
    try:
        yield
    finally:
        _END.reset(token)


def check_time() -> None:
    """Raises TimeIsUpError once the time is over."""
    global _looked
    end = _END.get()
    if end is not math.inf and (now := time.monotonic()) - _looked > _EVERY_S:
        if time.process_time() > end:
            raise TimeIsUpError
        _looked = now
