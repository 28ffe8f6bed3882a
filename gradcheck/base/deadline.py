"""The end of the time for something. What takes long looks at it now and then, wherever it was called from."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# In processor time, so that what is found does not depend on what else the machine does.
_END: ContextVar[float] = ContextVar("deadline", default=math.inf)


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
    end = _END.get()
    if end is not math.inf and time.process_time() > end:
        raise TimeIsUpError
