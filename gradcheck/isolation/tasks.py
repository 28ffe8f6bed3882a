"""One training as a task that any process can do: plain data in, plain data out.

A worker records each edited program once, and trains it as often as it is asked to.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcheck.isolation.records import Edit, GradientKey
from gradcheck.options import SessionOptions

if TYPE_CHECKING:
    from gradcheck.isolation.training import Trainer

CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class Task:
    """`gradients` are replaced by the true ones, or all there are with `all_gradients`."""

    session: SessionOptions
    pass_index: int
    edits: tuple[Edit, ...]
    gradients: tuple[GradientKey, ...]
    seed: int
    steps: int
    smoothed_over: int
    all_gradients: bool = False


@dataclass(slots=True)
class Outcome:
    loss: float = float("nan")
    diverged_at: int | None = None
    curve: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of every step, where they were asked for
    draws: str = ""
    frozen: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    error: str = ""


def perform(task: Task, keep_losses: bool = False) -> Outcome:
    """Never raises for what the program or the replay cannot do: the outcome says it."""
    from gradcheck.isolation.errors import CannotIsolateError
    from gradcheck.isolation.training import stretches
    from gradcheck.program.errors import ProgramError

    try:
        trainer = _trainer(task)
        replaced = trainer.gradients if task.all_gradients else task.gradients
        training = trainer.train(replaced, task.seed, task.steps)
    except (CannotIsolateError, ProgramError) as error:
        return Outcome(error=str(error) or type(error).__name__)
    except KeyError as error:
        return Outcome(error=f"the edited program has no gradient {error}")
    except Exception as error:
        return Outcome(error=f"{type(error).__name__}: {error}")
    return Outcome(
        training.smoothed(task.smoothed_over),
        training.diverged_at,
        stretches(training.losses, CURVE_POINTS),
        training.losses if keep_losses else [],
        trainer.draws,
    )


_trainers: dict[tuple[str, tuple[Edit, ...], int], Trainer] = {}
_MOST_TRAINERS = 4  # a recording of a large program holds its data


def _trainer(task: Task) -> Trainer:
    key = repr(task.session), task.edits, task.pass_index
    if key not in _trainers:
        while len(_trainers) >= _MOST_TRAINERS:
            del _trainers[next(iter(_trainers))]
        _trainers[key] = _recorded(task)
    return _trainers[key]


def _recorded(task: Task) -> Trainer:
    from gradcheck.isolation.errors import CannotIsolateError
    from gradcheck.isolation.training import Trainer
    from gradcheck.program.overlay import reading_instead
    from gradcheck.program.program import load
    from gradcheck.program.runner import run
    from gradcheck.program.target import parse_target
    from gradcheck.program.torch_settings import kept_torch_settings
    from gradcheck.recording.recorder import Recorder
    from gradcheck.replay.report_gradients import judge_recording

    session = task.session
    with reading_instead(_edited(task.edits)), silence():
        program = load(parse_target(session.target), session.cwd)
        recorder = Recorder(program.sources, session.at)
        with kept_torch_settings():
            run(program, recorder, timeout_s=session.timeout_s, data=session.data)
        judgement = judge_recording(
            recorder.recording, program.sources, loss=session.loss, pairs=session.pairs
        )
    passes = judgement.passes
    if not task.pass_index < len(passes):
        raise CannotIsolateError("the edited program has no such training step")
    return Trainer(judgement, passes[task.pass_index])


def _edited(edits: tuple[Edit, ...]) -> dict[Path, bytes]:
    from gradcheck.patch.files import edited
    from gradcheck.program.script import read_bytes

    found = {}
    for file, group in groupby(sorted(edits, key=lambda e: e.location.file), lambda e: e.location.file):
        path = Path(file)
        found[path] = edited(read_bytes(path), [(e.location, e.replacement) for e in group], path)
    return found


@contextmanager
def silence() -> Iterator[None]:
    """What the program prints has been seen once; here it would drown the report."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def environment() -> dict[str, Any]:
    """For a worker on another machine: what it must have to find the program."""
    return {"path": list(sys.path), "directory": os.getcwd()}
