"""Programs written into a temporary folder and run with an observer that writes down what it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from gradcheck.program.observer import LoopEnd
from gradcheck.program.runner import RunOutcome, load, run
from gradcheck.program.source import SourceUnit
from gradcheck.program.target import parse_target


@dataclass
class Watcher:
    """An observer that records; `end_after` holds (line of the loop, index) pairs that end their loop."""

    end_after: set[tuple[int, int]] = field(default_factory=set)
    attention: bool = True
    events: list[tuple[Any, ...]] = field(default_factory=list)
    units: list[int | None] = field(default_factory=list)
    namespace: dict[str, object] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)  # loop -> line
    ends: list[tuple[int, LoopEnd]] = field(default_factory=list)  # (line, how)
    stops: int = 0

    def start(self) -> None:
        self.events.append(("start",))

    def stop(self) -> None:
        self.stops += 1

    def unit_started(self, unit: SourceUnit) -> None:
        self.units.append(unit.cell)

    def unit_finished(self, unit: SourceUnit, namespace: dict[str, object]) -> None:
        self.namespace = namespace

    def iteration_started(self, loop: int, activation: int, index: int, frame: FrameType) -> None:
        self.events.append(("begin", self.lines.get(loop, loop), activation, index))

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        line = self.lines.get(loop, loop)
        self.events.append(("end", line, activation, index))
        return (line, index) in self.end_after

    def loop_ended(self, loop: int, activation: int, how: LoopEnd) -> None:
        self.ends.append((self.lines.get(loop, loop), how))

    def told(self, line: int) -> list[tuple[str, int]]:
        """Beginnings and ends of the loop on `line`."""
        return [(e[0], e[3]) for e in self.events if len(e) == 4 and e[1] == line]


@dataclass
class Ran:
    outcome: RunOutcome
    watcher: Watcher
    names: dict[str, Any]


Runner = Callable[..., Ran]


@pytest.fixture
def run_program(tmp_path: Path) -> Runner:
    """Runs a script (text) or a notebook (list of cells); other files go into the same folder."""

    def run_it(
        text: str | list[str],
        *,
        suffix: str = "",
        watcher: Watcher | None = None,
        files: dict[str, str] | None = None,
        timeout_s: float = 20.0,
        data: dict[str, str] | None = None,
        cwd: str | None = None,
    ) -> Ran:
        for name, content in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        path = tmp_path / ("program.py" if isinstance(text, str) else "program.ipynb")
        path.write_text(text if isinstance(text, str) else notebook_json(text))
        program = load(parse_target(str(path) + suffix), cwd)
        watcher = watcher or Watcher()
        watcher.lines = {site.loop: site.line for site in program.loops.sites.values()}
        outcome = run(program, watcher, timeout_s=timeout_s, data=data)
        return Ran(outcome, watcher, dict(watcher.namespace))

    return run_it


def notebook_json(cells: list[str], **metadata: Any) -> str:
    code = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": text} for text in cells]
    markdown = {"cell_type": "markdown", "metadata": {}, "source": ["# text between the cells"]}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": [markdown, *code]})


@pytest.fixture
def watcher_class() -> type[Watcher]:
    return Watcher


@pytest.fixture
def make_notebook() -> Callable[..., str]:
    return notebook_json
