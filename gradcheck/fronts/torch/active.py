"""Who records in this process, if anybody does: there is one at a time."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.fronts.torch.recorder import Recorder

_recorder: Recorder | None = None
_finished: list[weakref.ref[Recorder]] = []


def begin(recorder: Recorder) -> None:
    global _recorder
    _recorder = recorder


def end(recorder: Recorder) -> None:
    """Its recording can still be told about, for as long as somebody keeps it."""
    global _recorder
    if _recorder is recorder:
        _recorder = None
    _finished[:] = [reference for reference in _finished if reference() is not None]
    _finished.append(weakref.ref(recorder))


def current() -> Recorder | None:
    return _recorder


def finished() -> list[Recorder]:
    """The recordings that are kept, the latest first."""
    return [recorder for reference in reversed(_finished) if (recorder := reference()) is not None]
