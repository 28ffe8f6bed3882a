"""One training as a task that any process can do: plain data in, plain data out.

A worker records each edited program once, and trains it as often as it is asked to.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from gradcheck.base.options import SessionOptions
from gradcheck.isolation.records import Edit, GradientKey, SwitchableLayer

if TYPE_CHECKING:
    from gradcheck.isolation.training import Trainer

CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class Task:
    """`gradients` are replaced by the true ones, or all there are with `all_gradients`; the layer `without` is
    switched off. `directory` is where the tool was started: relative paths begin there."""

    session: SessionOptions
    pass_index: int
    edits: tuple[Edit, ...]
    gradients: tuple[GradientKey, ...]
    seed: int
    steps: int
    smoothed_over: int
    all_gradients: bool = False
    without: int | None = None
    directory: str = ""

    @property
    def key(self) -> str:
        """The same for the same training of the same program, in any run."""
        parts = (self.pass_index, self.edits, self.gradients, self.seed, self.steps, self.smoothed_over)
        return hashlib.sha256(repr((*parts, self.all_gradients, self.without)).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Outcome:
    loss: float = float("nan")
    diverged_at: int | None = None
    curve: list[float] = field(default_factory=list)
    error: str = ""


@dataclass(slots=True)
class Done:
    """The outcomes of some tasks, by the number of each."""

    outcomes: list[tuple[int, Outcome]]


@dataclass(slots=True)
class Survey:
    """What there is to train, known before anything is trained. `sources` are the person's files, with their hash;
    `error` says why nothing can be."""

    error: str = ""
    gradients: list[GradientKey] = field(default_factory=list)  # that can be replaced by the true ones
    depths: list[int] = field(default_factory=list)  # of each: layers between the input and what it is of
    layers: list[SwitchableLayer] = field(default_factory=list)
    no_layers: str = ""  # why none can be switched off
    sources: dict[str, str] = field(default_factory=dict)
    draws: str = ""
    frozen: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)


def perform(task: Task) -> Outcome:
    """Never raises for what the program or the replay cannot do: the outcome says it."""
    from gradcheck.isolation.training import stretches

    try:
        with _alone(task):
            trainer = _trainer(task)
            replaced = trainer.gradients if task.all_gradients else task.gradients
            training = trainer.train(replaced, task.seed, task.steps, without=task.without)
    except KeyError as error:
        return Outcome(error=f"the edited program has no gradient {error}")
    except Exception as error:
        return Outcome(error=_message_of(error))
    return Outcome(
        training.smoothed(task.smoothed_over),
        training.diverged_at,
        stretches(training.losses, CURVE_POINTS, task.steps),
    )


def survey(task: Task) -> Survey:
    """What the step of `task` offers; its replacements do not matter."""
    found = Survey()
    try:
        with _alone(task):
            trainer = _trainer(task)
            found.gradients = trainer.gradients
            for replaced in ((), trainer.gradients):
                trainer.compiled(replaced)  # so that it fails now if it cannot be compiled
            found.depths = list(trainer.depths().values())
            found.layers, found.no_layers = trainer.switchable()
            found.draws, found.frozen, found.followed = trainer.draws, trainer.frozen, trainer.followed
            for unit in trainer.judgement.sources.units.values():
                text = hashlib.sha256(unit.text.encode("utf-8", "surrogatepass"))
                found.sources[f"{unit.file}[{unit.cell}]"] = text.hexdigest()
    except Exception as error:
        found.error = _message_of(error)
    return found


def _message_of(error: Exception) -> str:
    from gradcheck.isolation.step import CannotIsolateError
    from gradcheck.program.errors import ProgramError

    known = isinstance(error, (CannotIsolateError, ProgramError))
    return (str(error) if known else "") or f"{type(error).__name__}: {error}".strip(": ")


Stamps = dict[str, tuple[int, int]]
_trainers: dict[tuple[str, tuple[Edit, ...], int], tuple[Trainer, Stamps]] = {}
MOST_TRAINERS = 8  # a recording of a large program holds its data
_lock = threading.Lock()


@contextmanager
def _alone(task: Task) -> Iterator[None]:
    """Recording watches the whole process, so that threads of one worker must take turns."""
    import torch

    with _lock:
        threads, before = torch.get_num_threads(), os.getcwd()
        torch.set_num_threads(1)  # the workers share the cores already, and small tensors gain nothing
        try:
            if task.directory and task.directory != before:
                os.chdir(task.directory)
            yield
        finally:
            os.chdir(before)
            torch.set_num_threads(threads)


def _trainer(task: Task) -> Trainer:
    key = repr(task.session), task.edits, task.pass_index
    trainer, stamps = _trainers.get(key, (None, None))
    # The workers of a cluster outlive a run, and the person goes on editing.
    if trainer is None or stamps != _stamps(trainer, task):
        _trainers.pop(key, None)
        while len(_trainers) >= MOST_TRAINERS:
            del _trainers[next(iter(_trainers))]
        trainer = _recorded(task)
        _trainers[key] = trainer, _stamps(trainer, task)
    return trainer


def _stamps(trainer: Trainer, task: Task) -> Stamps:
    """When each of the person's files was changed last, and how long it is."""
    found = {}
    for unit in trainer.judgement.sources.units.values():
        with suppress(OSError):
            status = os.stat(Path(task.directory, unit.file))
            found[unit.file] = status.st_mtime_ns, status.st_size
    return found


def _recorded(task: Task) -> Trainer:
    from gradcheck.fronts.recorder import Recorder
    from gradcheck.isolation.step import CannotIsolateError
    from gradcheck.isolation.training import Trainer
    from gradcheck.judge.judgement import judge_recording
    from gradcheck.program.overlay import reading_instead
    from gradcheck.program.program import load
    from gradcheck.program.runner import run
    from gradcheck.program.target import parse_target
    from gradcheck.program.torch_settings import kept_torch_settings

    session = task.session
    with reading_instead(_edited(task)), _imports_forgotten(), _quiet():
        program = load(parse_target(session.target, session.cwd), session.cwd, session.arguments)
        recorder = Recorder(program.sources, session.at)
        with kept_torch_settings():
            run(
                program,
                recorder,
                timeout_s=session.timeout_s,
                data=session.data,
                allow_writes=session.allow_writes,
            )
        judgement = judge_recording(
            recorder.recording, program.sources, loss=session.loss, pairs=session.pairs
        )
    passes = judgement.passes
    if not task.pass_index < len(passes):
        raise CannotIsolateError("the edited program has no such training step")
    return Trainer(judgement, passes[task.pass_index])


def _edited(task: Task) -> dict[Path, bytes]:
    from gradcheck.program.edits.spans import edited
    from gradcheck.program.script import read_bytes

    found = {}
    edits = sorted(task.edits, key=lambda edit: edit.location.file)
    for file, group in groupby(edits, lambda edit: edit.location.file):
        path = Path(task.directory, file)
        # The places stay those of the file as it is, whichever of its edits are made.
        found[path] = edited(read_bytes(path), [(e.location, e.replacement) for e in group], path)
    return found


@contextmanager
def _imports_forgotten() -> Iterator[None]:
    """Modules of the person's that the program imports: the next recording may use an edited version of them."""
    from gradcheck.program.source import is_library

    before = set(sys.modules)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name not in before]:
            file = getattr(sys.modules[name], "__file__", None)
            if isinstance(file, str) and not is_library(file):
                del sys.modules[name]


@contextmanager
def _quiet() -> Iterator[None]:
    """What the program prints has been seen once; here it would hide the report."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
