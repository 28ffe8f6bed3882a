"""Who records in this process, if anybody does: there is one at a time."""

import weakref
from typing import Protocol


class Running(Protocol):
    """A recorder, as other parts of the process see it."""

    live: bool

    def knows(self, array: object) -> bool: ...
    def pair(self, forward: object, gradient: object) -> None: ...


_recorder: Running | None = None
_finished: list[weakref.ref[Running]] = []


def begin(recorder: Running) -> None:
    global _recorder
    _recorder = recorder


def end(recorder: Running) -> None:
    """Pairs can still be added to its recording, for as long as somebody keeps it."""
    global _recorder
    if _recorder is recorder:
        _recorder = None
    _finished[:] = [reference for reference in _finished if reference() is not None]
    _finished.append(weakref.ref(recorder))


def current() -> Running | None:
    return _recorder


def finished() -> list[Running]:
    """The recorders that are kept, the latest first."""
    return [recorder for reference in reversed(_finished) if (recorder := reference()) is not None]
