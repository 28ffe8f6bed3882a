"""python -m benchmarks.finite_differences: do the true gradients of reports agree with the person's own program?

A check that shares nothing with a report but the program. Each program is run once more by Python alone, with one
parameter moved a little just before the forward pass reads it, until its loss is computed. Twice that gives a central
difference of the loss along a random direction. It is compared with the inner product of that direction and the
gradient that the report holds for true. Torch programs run in float64 for this, in both runs.
"""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from types import FrameType
from typing import Any

import click
import numpy as np
import pandas as pd
import torch

from benchmarks.measuring import environment, markdown
from benchmarks.planted.pool import each_in_a_child
from benchmarks.planted.subjects import Subject
from gradcheck.fronts.recorder import Recorder
from gradcheck.judge.judge import Judge
from gradcheck.judge.judgement import judge_recording
from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.target import parse_target

ROOT = Path(__file__).resolve().parent.parent
_FOLDERS = ("tests/programs", "tests/fronts/numpy/programs")
_IN_FLOAT64 = "import torch; torch.set_default_dtype(torch.float64); "
_STEP = 1e-5
_AGREE = 1e-4  # relative: what a central difference with that step can show
_MOST_PARAMETERS = 6
_SAME_LOSS = 1e-9


@dataclass(frozen=True, slots=True)
class Compared:
    program: str
    parameter: str
    difference: float  # quotient of two losses
    product: float  # of the direction with the true gradient

    @property
    def error(self) -> float:
        size = max(abs(self.difference), abs(self.product))
        return abs(self.difference - self.product) / size if size > 1e-9 else 0.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """What the top level of the program calls `name`; the forward pass reads it first on the line `read_at`."""

    name: str
    read_at: int
    gradient: torch.Tensor


class _DoneError(BaseException):
    """The loss is there: no reason to run on."""


class _Moved:
    """Runs a program by Python alone until its loss is computed, with one parameter moved by `shift`."""

    def __init__(
        self, path: Path, loss: tuple[str, int], parameter: Parameter | None, shift: torch.Tensor
    ) -> None:
        self._path, self._loss, self._parameter, self._shift = path, loss, parameter, shift
        self._previous: dict[FrameType, int] = {}
        self._is_moved = parameter is None
        self.loss: float | None = None

    def run(self) -> float | None:
        torch.manual_seed(0)
        np.random.seed(0)
        sys.settrace(self._enter)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                runpy.run_path(str(self._path), run_name="__main__")
        except _DoneError:
            return self.loss
        finally:
            sys.settrace(None)
        return None

    def _enter(self, frame: FrameType, event: str, arg: object) -> Any:
        return self._line if frame.f_code.co_filename == str(self._path) else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        done = self._previous.pop(frame, None)
        if done is not None:
            self._after(frame, done, arg if event == "return" else None)
        if event == "line":
            self._previous[frame] = frame.f_lineno
            self._before(frame, frame.f_lineno)
        return self._line

    def _before(self, frame: FrameType, line: int) -> None:
        if self._is_moved or self._parameter is None or line != self._parameter.read_at:
            return
        found = frame.f_globals.get(self._parameter.name)
        if isinstance(found, torch.Tensor):
            found.data.add_(self._shift)
        elif isinstance(found, np.ndarray):
            found += self._shift.numpy()
        self._is_moved = isinstance(found, (torch.Tensor, np.ndarray))

    def _after(self, frame: FrameType, line: int, returned: object) -> None:
        held = frame.f_locals
        name, at = self._loss
        if line == at and self._is_moved:
            loss = held.get(name, returned)
            loss = loss[0] if isinstance(loss, tuple) else loss  # returned beside a cache or a pullback
            if isinstance(loss, (float, torch.Tensor, np.floating)):
                self.loss = float(loss)
                raise _DoneError


def compare(subject: Subject) -> list[Compared]:
    """[] if it has no parameter that a name at its top level holds, or its loss is not the recorded one."""
    with tempfile.TemporaryDirectory() as folder:
        path = subject.lay_out(Path(folder))
        text = path.read_text()
        path.write_text(_IN_FLOAT64 + text if "torch" in text and "__future__" not in text else text)
        os.chdir(folder)
        return _compare(path)


def _compare(path: Path) -> list[Compared]:
    program = load(parse_target(str(path)))
    recorder = Recorder(program.sources, (0,))
    with contextlib.redirect_stdout(io.StringIO()):
        run(program, recorder, timeout_s=60.0)
    judgement = judge_recording(recorder.recording, program.sources)
    if not judgement.passes or judgement.passes[0].judge is None:
        return []
    first = judgement.passes[0]
    loss = first.result.loss, first.result.loss_location.line
    plain = _Moved(path, loss, None, torch.zeros(())).run()
    known = first.result.loss_value
    if plain is None or known is None or abs(plain - known) > _SAME_LOSS * max(1.0, abs(plain)):
        return []
    assert first.judge is not None
    found = []
    for parameter in _parameters(first.judge):
        generator = torch.Generator().manual_seed(1)
        direction = torch.rand(parameter.gradient.shape, dtype=torch.float64, generator=generator) * 2 - 1
        shift = _STEP * direction
        up = _Moved(path, loss, parameter, shift).run()
        down = _Moved(path, loss, parameter, -shift).run()
        if up is not None and down is not None:
            product = float((direction * parameter.gradient.double()).sum())
            found.append(Compared(path.name, parameter.name, (up - down) / (2 * _STEP), product))
    return found


def _parameters(judge: Judge) -> Iterator[Parameter]:
    wanted = {update.parameter.root for update in judge.plan.updates}
    wanted |= {value.root for value in judge.paired if value not in judge.forward_made}
    count = 0
    for value, gradient in judge.run.graph.truth.items():
        named = [
            b
            for b in judge.names.bindings(value)
            if b.code is not None and b.code.co_name == "<module>" and b.name.isidentifier() and not b.alias
        ]
        readers = [op for op in judge.plan.forward_ops if value in op.inputs and op.index >= judge.plan.start]
        if named and readers and value.root in wanted and count < _MOST_PARAMETERS:
            count += 1
            yield Parameter(named[0].name, judge.places.location(readers[0]).line, gradient)


def _shown(found: list[Compared]) -> str:
    apart = sum(compared.error > _AGREE for compared in found)
    return f"{len(found)} gradients compared, {apart} apart" if found else "nothing to compare"


@click.command()
@click.option("--programs", metavar="GLOB", default="*", help="Programs by file name.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
def main(programs: str, jobs: int) -> None:
    """Compare the true gradients of reports with finite differences of the programs themselves."""
    paths = [
        p for folder in _FOLDERS for p in sorted((ROOT / folder).glob("*.py")) if fnmatch(p.name, programs)
    ]
    subjects = [
        Subject(path) for path in paths if path.with_suffix(".toml").exists() or "numpy" in path.parts
    ]
    found = each_in_a_child(subjects, compare, _shown, jobs)
    apart = [c for c in found if c.error > _AGREE]
    click.echo(environment() + "\n")
    table = pd.DataFrame(
        [
            {
                "programs": len(subjects),
                "with something to compare": len({c.program for c in found}),
                "gradients": len(found),
                f"within {_AGREE:g}": len(found) - len(apart),
                "median error": f"{np.median([c.error for c in found]):.1e}" if found else "",
            }
        ]
    )
    click.echo(markdown(table))
    for c in sorted(apart, key=lambda c: -c.error):
        click.echo(
            f"\n- {c.program}, `{c.parameter}`: difference {c.difference:.6g}, true gradient {c.product:.6g}"
        )


if __name__ == "__main__":
    main()
