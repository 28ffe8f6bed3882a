"""What the rewritten loop headers call: reports to the observer when iterations begin and end."""

from __future__ import annotations

import builtins
import itertools
import operator
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from types import CodeType, FrameType, TracebackType
from typing import Any

from gradcheck.program.array_calls import HOOKS
from gradcheck.program.array_hooks import PlainHooks
from gradcheck.program.loops import DONE, FOR, TURN, WHILE
from gradcheck.program.observer import LoopEnd, Observer

_get_frame = sys._getframe


class LoopWatch:
    """Serves the loop headers of one run. While it is off (before and after the run, in other threads, in a
    forked child) loops run bare."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.activations = itertools.count()
        self.whiles: dict[tuple[int, int], _While] = {}  # by frame id and loop; see _While
        self.on = False
        self._counted: dict[int, Iterator[Any]] = {}  # by activation: iterators that know how much is left
        observer.iterations_left = self._left
        self._thread = threading.get_ident()

    def install(self) -> None:
        self.on = True
        setattr(builtins, HOOKS, PlainHooks())  # until a front takes its place
        setattr(builtins, FOR, self._for)
        setattr(builtins, WHILE, lambda loop: _While(self, loop))
        setattr(builtins, TURN, _turn_function(self))
        setattr(builtins, DONE, self._done)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_turning_off(self))

    def turn_off(self) -> None:
        """From here on nothing is reported. The names stay: functions of the program may still be called. They hold
        nothing of this run, which in a notebook is one of many."""
        self.on = False
        setattr(builtins, FOR, lambda loop, iterable: iterable)
        setattr(builtins, WHILE, lambda loop: nullcontext())
        setattr(builtins, TURN, lambda loop: True)
        setattr(builtins, DONE, lambda loop: False)

    def listens(self) -> bool:
        return self.on and threading.get_ident() == self._thread

    def _for(self, loop: int, iterable: Iterable[Any]) -> Iterable[Any]:
        if not self.listens():
            return iterable
        # iter() here, not in the generator: "'int' object is not iterable" must come before the first turn.
        return self._turns(loop, iter(iterable), _get_frame(1).f_code)

    def _left(self, activation: int) -> int | None:
        iterator = self._counted.get(activation)
        return None if iterator is None else operator.length_hint(iterator)

    def _done(self, loop: int) -> bool:
        """The condition of a `while` did not hold, or the observer ended it. Always False: it ends."""
        running = self.whiles.get((id(_get_frame(1)), loop))
        if running is not None and running.how is not LoopEnd.LEFT:
            running.how = LoopEnd.CONDITION
        return False

    def _turns(self, loop: int, iterator: Iterator[Any], code: CodeType) -> Iterator[Any]:
        """Hands on what `iterator` yields, and holds nothing of it: an item the person drops must be freed.

        A loop left early drops this generator, which closes it there and then; the iterator itself is not
        closed (no `yield from`), because the person may go on with it after a `break`.
        """
        observer = self.observer
        activation = next(self.activations)
        index = -1
        held: list[Any] = []
        if isinstance(iterator, _COUNTED):
            self._counted[activation] = iterator
        try:
            while True:
                index += 1
                if observer.attention and self.on:
                    held.append(next(iterator))
                    observer.iteration_started(loop, activation, index, _get_frame(1))
                    yield held.pop()
                else:
                    yield next(iterator)
                if (
                    observer.attention
                    and self.on
                    and observer.iteration_finished(loop, activation, index, _get_frame(1))
                ):
                    observer.loop_ended(
                        loop, activation, LoopEnd.EXHAUSTED if _has_run_out(iterator) else LoopEnd.LEFT
                    )
                    return
        except StopIteration:
            if observer.attention and self.on:
                observer.loop_ended(loop, activation, LoopEnd.EXHAUSTED)
            return
        except GeneratorExit:
            # Dropped by the frame of the loop, or much later by the garbage collector from anywhere.
            frame = _get_frame(1)
            if observer.attention and self.on and frame.f_code is code:
                observer.iteration_finished(loop, activation, index, frame)
                observer.loop_ended(loop, activation, LoopEnd.BROKEN)
            raise
        finally:
            self._counted.pop(activation, None)


_COUNTED: tuple[type, ...] = (type(iter(range(0))), type(iter(())), type(iter([])))


def _has_run_out(iterator: Iterator[Any]) -> bool:
    """Whether the loop would have ended anyway, where that is known without asking the person's code."""
    return isinstance(iterator, _COUNTED) and operator.length_hint(iterator) == 0


def _turning_off(watch: LoopWatch) -> Callable[[], None]:
    """What a forked child does. It cannot be registered off again, so it must not keep the watch alive."""
    kept = weakref.ref(watch)

    def turn_off() -> None:
        if (found := kept()) is not None and found.on:
            found.turn_off()

    return turn_off


def _turn_function(watch: LoopWatch) -> Callable[[int], bool]:
    """A closure, because it is called in every iteration of every `while`."""
    whiles, observer = watch.whiles, watch.observer

    def turn(loop: int) -> bool:
        frame = _get_frame(1)
        running = whiles.get((id(frame), loop))
        if running is None:
            return True
        if observer.attention:
            return running.turn(frame)
        running.index += 1
        return True

    return turn


class _While:
    """One run of a `while` statement: a context manager around it.

    Found again by the id of the frame, which is safe because `with` takes the entry out before the frame
    can die; holding the frame itself would keep an abandoned generator alive for ever.
    """

    __slots__ = ("_activation", "_key", "_loop", "_watch", "how", "index")

    def __init__(self, watch: LoopWatch, loop: int) -> None:
        self.index = -1
        self.how = LoopEnd.BROKEN  # unless something else is reported
        self._watch = watch
        self._loop = loop
        self._activation = -1
        self._key: tuple[int, int] | None = None

    def __enter__(self) -> None:
        if self._watch.listens():
            self._activation = next(self._watch.activations)
            self._key = (id(_get_frame(1)), self._loop)
            self._watch.whiles[self._key] = self

    def turn(self, frame: FrameType) -> bool:
        """The condition held: ends the iteration before, begins the next. False ends the loop."""
        if not self._watch.on:
            return True
        observer = self._watch.observer
        if self.index >= 0 and observer.iteration_finished(self._loop, self._activation, self.index, frame):
            self.index = -1  # reported: leaving the loop must not report it again
            self.how = LoopEnd.LEFT
            return False
        self.index += 1
        observer.iteration_started(self._loop, self._activation, self.index, frame)
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._key is None:
            return
        self._watch.whiles.pop(self._key, None)
        observer = self._watch.observer
        if not (observer.attention and self._watch.on):
            return
        if self.index >= 0:
            observer.iteration_finished(self._loop, self._activation, self.index, _get_frame(1))
        how = self.how if kind is None else LoopEnd.RAISED
        observer.loop_ended(self._loop, self._activation, how)
