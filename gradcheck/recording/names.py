"""Watches the person's frames line by line and notes which name holds which tensor.

Tracing is on only near tensor work: the recorder wakes it at an op, and it goes to sleep by itself after many
lines without one, so that loops which build data in pure Python run at their own speed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import torch

from gradcheck.program.source import SourceMap
from gradcheck.recording.quiet import Quiet
from gradcheck.recording.targets import Target, held_by, targets_by_line, tensors_in

# (name, tensor or None, scope, code, line, alias, owner)
OnBind = Callable[[str, torch.Tensor | None, int, CodeType, int, bool, int], None]

_SLEEP_AFTER_LINES = 3000


class NameTracer:
    """`on_bind` is called for every name found to hold another tensor than before."""

    def __init__(self, sources: SourceMap, quiet: Quiet, on_bind: OnBind, on_sleep: Callable[[], None]) -> None:
        self._sources = sources
        self._quiet = quiet
        self._on_bind = on_bind
        self._on_sleep = on_sleep
        self._tables: dict[str, dict[int, tuple[Target, ...]]] = {}
        self._last_line: dict[int, int] = {}
        self._scopes: dict[int, int] = {}
        self._next_scope = 1
        self._idle = 0
        self._previous: Any = None
        self.awake = False

    def wake(self, frame: FrameType) -> None:
        """Start watching `frame` and the person's frames that called it."""
        self._idle = 0
        if self.awake:
            return
        self.awake = True
        self._previous = sys.gettrace()
        caller: FrameType | None = frame
        while caller is not None:
            if self._sources.is_user(caller.f_code.co_filename):
                caller.f_trace = self._local
                self._last_line[id(caller)] = caller.f_lineno
            caller = caller.f_back
        sys.settrace(self._global)

    def heartbeat(self) -> None:
        """An op was recorded: stay awake."""
        self._idle = 0

    def sleep(self) -> None:
        if self.awake:
            self.awake = False
            sys.settrace(self._previous)

    def scope_of(self, frame: FrameType) -> int:
        """A number for this activation of this frame."""
        key = id(frame)
        scope = self._scopes.get(key)
        if scope is None:
            scope = self._scopes[key] = self._next_scope
            self._next_scope += 1
        return scope

    def flush(self, frame: FrameType) -> None:
        """Look at what the statement that `frame` is in, or has just left, has bound."""
        line = self._last_line.get(id(frame))
        if line is not None:
            with self._quiet:
                self._look(frame, line)

    def _global(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if not self._sources.is_user(code.co_filename):
            return None
        self._scopes.pop(id(frame), None)
        self._last_line[id(frame)] = frame.f_lineno
        with self._quiet:
            self._note_parameters(frame)
        return self._local

    def _local(self, frame: FrameType, event: str, arg: Any) -> Any:
        key = id(frame)
        line = self._last_line.get(key)
        if line is not None:
            with self._quiet:
                self._look(frame, line)
        if event == "return":
            self._last_line.pop(key, None)
            self._scopes.pop(key, None)
            return None
        self._last_line[key] = frame.f_lineno
        self._idle += 1
        if self._idle > _SLEEP_AFTER_LINES:
            self.sleep()
            self._on_sleep()
            return None
        return self._local

    def _look(self, frame: FrameType, line: int) -> None:
        filename = frame.f_code.co_filename
        table = self._tables.get(filename)
        if table is None:
            unit = self._sources.unit(filename)
            table = self._tables[filename] = targets_by_line(unit.text) if unit else {}
        targets = table.get(line)
        if not targets:
            return
        scope = self.scope_of(frame)
        for target in targets:
            for held in held_by(target, frame):
                self._on_bind(held.name, held.value, scope, frame.f_code, line, target.alias, held.owner)

    def _note_parameters(self, frame: FrameType) -> None:
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount
        if not count:
            return
        scope = self.scope_of(frame)
        for name in code.co_varnames[:count]:
            for held in tensors_in(name, frame.f_locals.get(name), depth=1):
                self._on_bind(held.name, held.value, scope, code, frame.f_lineno, True, held.owner)
