"""Watches the person's frames line by line and notes which name holds which tensor.

Tracing is on only near tensor work: the recorder wakes it at an op, and it goes to sleep by itself after many
lines without one, so that loops which build data in pure Python run at their own speed.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import numpy as np

from gradcheck.fronts import arrays
from gradcheck.fronts.bindings import Bindings
from gradcheck.fronts.namespace import names_in
from gradcheck.fronts.reach import RUNNERS
from gradcheck.fronts.state import State
from gradcheck.fronts.targets import MISSING, held_by, read_name, tensors_in
from gradcheck.program.reading.names import Target, targets_by_line
from gradcheck.program.source import SourceMap

_Trace = Callable[[FrameType, str, Any], Any]

_SLEEP_AFTER_LINES = 3000
_set_trace = sys.settrace
_PLAIN = frozenset({int, float, str, bool, bytes, complex})
_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})


@dataclass(slots=True, eq=False)
class _Watched:
    """One activation of one of the person's frames: the line it is in, and what the lines of its file bind."""

    code: CodeType
    line: int
    scope: int
    targets: dict[int, tuple[Target, ...]]


class NameTracer:
    """Every name that a statement has bound to an array (or to None), and every plain name bound to anything else, goes
    to `bindings`. `on_sleep` is called when tracing has turned itself off."""

    def __init__(
        self, sources: SourceMap, state: State, bindings: Bindings, on_sleep: Callable[[], None]
    ) -> None:
        self._sources = sources
        self._state = state
        self._bindings = bindings
        self._on_sleep = on_sleep
        self._tables: dict[str, dict[int, tuple[Target, ...]]] = {}
        self.frames: dict[int, _Watched] = {}
        self._next_scope = 1
        self._modules: dict[int, int] = {}  # the scope of each namespace of module level
        self.idle = 0
        self._previous: Any = None
        self._hook = self._global  # one object, made once
        self.awake = False
        # Of a frame that was watched, and its scope.
        self.last_return: tuple[CodeType, int, int] | None = None

    def wake(self, frame: FrameType) -> None:
        """Start watching `frame` and the program's frames that called it; or, if awake, stay so."""
        self.idle = 0
        if self.awake:
            return
        self.awake = True
        self._previous = sys.gettrace()
        caller: FrameType | None = frame
        while caller is not None and caller.f_code.co_filename not in RUNNERS:
            code = caller.f_code
            if self._sources.is_user(code.co_filename) and code.co_name not in _COMPREHENSIONS:
                watched = self.frames.get(id(caller))
                if watched is None or watched.code is not code:
                    watched = self._watch(caller)
                    self._note_parameters(caller, watched)
                watched.line = caller.f_lineno
                caller.f_trace = self._tracer_of(watched)
            caller = caller.f_back
        sys.settrace(self._hook)

    def sleep(self) -> None:
        if self.awake:
            self.awake = False
            sys.settrace(self._previous)

    if sys.version_info < (3, 12):
        # While tracing is on, every function runs at a fraction of its speed, ours and torch's too.
        def hold(self) -> None:
            """Stop watching until `go_on`: only library code runs meanwhile."""
            if self.awake:
                _set_trace(None)

        def go_on(self) -> None:
            if self.awake:
                _set_trace(self._hook)

    else:  # there, turning it off and on is what costs

        def hold(self) -> None:
            pass

        def go_on(self) -> None:
            pass

    def flush(self, frame: FrameType) -> None:
        """Look at what the statement that `frame` is in, or has just left, has bound."""
        watched = self.frames.get(id(frame))
        if watched is not None and watched.code is frame.f_code:
            targets = watched.targets.get(watched.line)
            if targets is not None:
                self._look(frame, watched, targets)

    def scope_of(self, frame: FrameType | None) -> int:
        """The number of the activation that `frame` is; 0 if it is not watched."""
        while frame is not None and frame.f_code.co_name in _COMPREHENSIONS:
            frame = frame.f_back
        watched = self.frames.get(id(frame))
        return watched.scope if watched is not None and frame and watched.code is frame.f_code else 0

    def _watch(self, frame: FrameType) -> _Watched:
        code = frame.f_code
        table = self._tables.get(code.co_filename)
        if table is None:
            unit = self._sources.unit(code.co_filename)
            table = self._tables[code.co_filename] = targets_by_line(unit.tree) if unit else {}
        scope = self._next_scope
        if code.co_name == "<module>":  # the cells of a notebook are one scope
            scope = self._modules.setdefault(id(frame.f_globals), scope)
        watched = self.frames[id(frame)] = _Watched(code, frame.f_lineno, scope, table)
        self._bindings.entered_scope(scope, frame)
        self._next_scope += 1
        return watched

    def _global(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if not self._sources.is_user(code.co_filename) or code.co_name in _COMPREHENSIONS:
            return None
        try:
            watched = self.frames.get(id(frame))
            if watched is None or watched.code is not code or frame.f_lasti <= 0 or not _is_generator(code):
                # Not a generator that goes on.
                watched = self._watch(frame)
                self._note_parameters(frame, watched)
            watched.line = frame.f_lineno
            return self._tracer_of(watched)
        except Exception as error:
            self._state.failed(error)
            return None

    def _tracer_of(self, watched: _Watched) -> _Trace:
        """A closure, because it is called for every line."""
        targets_of = watched.targets.get
        look = self._look

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            targets = targets_of(watched.line)
            if targets is not None:
                try:
                    look(frame, watched, targets)
                except Exception as error:
                    self._state.failed(error)
                    return None
            if event == "return":
                self.last_return = watched.code, frame.f_lasti, watched.scope
                if not _is_generator(watched.code):
                    self.frames.pop(id(frame), None)
                return None
            watched.line = frame.f_lineno
            self.idle += 1
            if self.idle > _SLEEP_AFTER_LINES:
                self.sleep()
                self._on_sleep()
                return None
            return trace

        return trace

    def _look(self, frame: FrameType, watched: _Watched, targets: tuple[Target, ...]) -> None:
        bound, bound_plain = self._bindings.bound, self._bindings.bound_plain
        scope, code, line = watched.scope, watched.code, watched.line
        with self._state.unrecorded:
            names = names_in(frame)
            for target in targets:
                if target.is_name:
                    value = names.get(target.text, MISSING)
                    if value is MISSING:
                        value = read_name(target.text, frame, names)
                    kind = type(value)
                    if value is MISSING:
                        continue
                    number = kind is float or isinstance(value, np.floating)
                    if (kind in _PLAIN or number) and not (number and self._bindings.knows(value)):
                        bound_plain(target.text, value, scope)
                        if number:
                            self._bindings.bound_constant(target.text, value, code, line)
                        continue
                    if kind in arrays.KINDS or value is None or kind is float:
                        bound(target.text, value, scope, code, line, target.alias, 0)
                        continue
                    if not isinstance(value, arrays.KINDS):
                        bound_plain(target.text, value, scope)
                for held in held_by(target, frame, names):
                    bound(held.name, held.value, scope, code, line, target.alias, held.owner, held.evaluated)

    def _note_parameters(self, frame: FrameType, watched: _Watched) -> None:
        """What it was called with, and what it shares with the functions around it: which call of those, the frame knows."""
        code = frame.f_code
        given = (*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], *code.co_freevars)
        if not given:
            return
        with self._state.unrecorded:
            names = names_in(frame)
            for name in given:
                value = names.get(name)
                if value is None:
                    continue
                if not isinstance(value, arrays.KINDS):
                    self._bindings.bound_plain(name, value, watched.scope)
                    if type(value) in _PLAIN:
                        continue
                for held in tensors_in(name, value, depth=1):
                    self._bindings.bound(
                        held.name, held.value, watched.scope, code, frame.f_lineno, True, held.owner
                    )


def _is_generator(code: CodeType) -> bool:
    return bool(code.co_flags & 0x2A0)  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR
