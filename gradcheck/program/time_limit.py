"""The time limit of a run, kept from inside: the program is stopped at the person's own line."""

import ctypes
import signal
import sys
import threading
from types import FrameType

from gradcheck.program.faults import frame_location
from gradcheck.program.location import Location
from gradcheck.program.source import OURS, SourceMap

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
        self._over = threading.Event()

    def start(self) -> None:
        if not hasattr(signal, "setitimer"):
            self._armed = True
            threading.Thread(
                target=self._ring_from_beside, args=(threading.get_ident(),), daemon=True
            ).start()
        elif threading.current_thread() is threading.main_thread():  # signals arrive nowhere else
            signal.signal(signal.SIGALRM, self._ring)
            # Again every second: a bare `except:` in the program may swallow the first.
            signal.setitimer(signal.ITIMER_REAL, min(self.seconds, _LONGEST_S), 1.0)
            self._armed = True

    def cancel(self) -> None:
        if self._armed and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
        self._armed = False
        self._over.set()

    def _ring_from_beside(self, thread: int) -> None:
        """Where there are no timers (Windows). It arrives between two instructions: a call that waits is not cut short."""
        self._over.wait(min(self.seconds, threading.TIMEOUT_MAX))
        while self._armed:
            frame = sys._current_frames().get(thread)
            if not _inside_observer(frame, self._sources):
                if not self.expired:
                    self.expired, self.location = True, frame_location(frame, self._sources)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(StillRunning)
                )
            del frame
            self._over.wait(1.0 if self.expired else _RETRY_S)

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
        if frame.f_code.co_filename.startswith(OURS):
            return True
        frame = frame.f_back
    return False
