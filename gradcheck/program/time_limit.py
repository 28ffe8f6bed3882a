"""The time limit of a run, kept from inside: the program is stopped at the person's own line."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

from gradcheck.program.faults import frame_location
from gradcheck.program.location import Location
from gradcheck.program.source import SourceMap

_OURS = str(Path(__file__).parent.parent) + "/"
_RETRY_S = 0.005
_RETRIES = 400
_LONGEST_S = 1e8  # three years: timers take no more


class StillRunning(BaseException):
    """Raised in the program when its time is over. Not an Exception: `except Exception` must not stop it."""


class TimeLimit:
    """`location` is where the program was when its time was over, None before that."""

    def __init__(self, seconds: float, sources: SourceMap) -> None:
        self.seconds = seconds
        self.location: Location | None = None
        self.expired = False
        self._sources = sources
        self._retries = _RETRIES
        self._armed = False

    def start(self) -> None:
        if threading.current_thread() is threading.main_thread():  # signals arrive nowhere else
            signal.signal(signal.SIGALRM, self._ring)
            # Again every second: a bare `except:` in the program may swallow the first.
            signal.setitimer(signal.ITIMER_REAL, min(self.seconds, _LONGEST_S), 1.0)
            self._armed = True

    def cancel(self) -> None:
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            self._armed = False

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if not self._armed:
            return
        if self._retries and _inside_observer(frame, self._sources):
            # Stopped half-way through noting a call, the recording would be torn: try again in a moment.
            self._retries -= 1
            signal.setitimer(signal.ITIMER_REAL, _RETRY_S, 1.0)
            return
        self._retries = _RETRIES
        if not self.expired:
            self.expired = True
            self.location = frame_location(frame, self._sources)
        raise StillRunning


def _inside_observer(frame: FrameType | None, sources: SourceMap) -> bool:
    while frame is not None and not sources.is_user(frame.f_code.co_filename):
        if frame.f_code.co_filename.startswith(_OURS):
            return True
        frame = frame.f_back
    return False
