"""The time a search may take."""

from __future__ import annotations

import time


class Clock:
    """Counts processor time, so that what is found does not depend on what else the machine does."""

    def __init__(self, seconds: float) -> None:
        self._end = time.process_time() + seconds

    def share(self, part: float) -> Clock:
        """One that is over when that part of the time left is."""
        return Clock(part * max(0.0, self._end - time.process_time()))

    @property
    def is_over(self) -> bool:
        return time.process_time() > self._end
