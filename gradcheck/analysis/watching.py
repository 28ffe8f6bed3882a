"""`gradcheck.watch`: records one training step of code that is running already, and reports on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType, TracebackType

import numpy as np
import torch

from gradcheck.analysis.following import followed_calls
from gradcheck.analysis.session import Words, analyse
from gradcheck.analysis.settings import in_force
from gradcheck.base.errors import NothingToCheckError, WatchError
from gradcheck.base.options import SessionOptions
from gradcheck.diagnosis.found import Found
from gradcheck.fronts import active
from gradcheck.fronts.namespace import visible_names
from gradcheck.fronts.recorder import Recorder
from gradcheck.fronts.tape import Recording
from gradcheck.program.errors import ProgramError
from gradcheck.program.faults import describe
from gradcheck.program.live import LiveSources, place_of
from gradcheck.program.outcome import Ending, RunOutcome
from gradcheck.program.source import SourceUnit, shown_path
from gradcheck.program.torch_settings import kept_torch_settings, torch_as_imported
from gradcheck.program.writes.hold import writes_held_back, written_by_program
from gradcheck.report.model import Report

NUMPY_IS_FOLLOWED = (
    "NumPy is followed where gradcheck runs the program itself: `gradcheck report FILE` runs a script or a notebook, "
    "`gradcheck layer`, `gradcheck.check(step)` and `assert_gradients` a function or class, `%%gradcheck` a cell"
)
_WORDS = Words(
    loss="say which value is the loss with `report(loss=NAME)`",
    pair="which gradient belongs to which tensor with `gradcheck.pair(tensor, gradient)`",
    nothing_seen=("no torch operation was recorded", NUMPY_IS_FOLLOWED),
)
# A loop that is already running cannot be left: it is recorded to its end, and this many repeats of a step are judged.
_MOST_REPEATS = 1


def watch() -> Watched:
    """Records the code in the body of a `with` statement, which does one training step; then reports on it.

    The body runs as it would without: same values, same random numbers, same output. What exists before it (the
    parameters, the batch) is what the step starts from. Functions it calls are recorded too, as long as they are the
    person's own code and no library's.

    Examples:
        >>> import torch, gradcheck
        >>> x, W = torch.randn(8, 4), torch.randn(4, 3)
        >>> with gradcheck.watch() as watched:
        ...     y = torch.tanh(x @ W)
        ...     loss = (y**2).sum()
        ...     dy = 2 * y
        ...     dW = x.T @ dy  # the derivative of tanh was forgotten
        >>> report = watched.report()
        >>> report.summary["introduced"]
        1
        >>> [(finding.rule, finding.location.line) for finding in report.findings]
        [('GC101', 5)]

    The recording is kept as long as the object is. A loop in the body runs to its end; of passes that one and the
    same line of it computes the loss of, the first is reported. One watch at a time: a second one inside raises
    `gradcheck.WatchError`.
    """
    return Watched()


class Watched:
    """What `gradcheck.watch()` returns: enter it once, then call `report()`."""

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._sources = LiveSources()
        self._outcome = RunOutcome()
        self._target = ""
        self._passive = False
        self._entered = self._ended = False
        self._process = os.getpid()
        self._frame: FrameType | None = None
        self._names: dict[str, object] = {}
        self._following = ExitStack()
        self.holds: Callable[[Found], bool] | None = None  # asked of every edit that replay has proved
        self.explained = True  # whether the report says why what is wrong is wrong

    def __enter__(self) -> Watched:
        self.begin(sys._getframe(1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(error)

    def begin(
        self, frame: FrameType, *, target: str = "", files: Sequence[str | None] = (),
        names: Mapping[str, object] | None = None, texts: Mapping[str, str] | None = None,
        things: Sequence[object] = (),
    ) -> None:  # fmt: skip
        """Begin to record in `frame`, whose file is the person's, and so are `files`. `names` are what the step
        starts from besides what the frame can name; `texts` are those of files that run otherwise than they read;
        `things` are what is called and what it is given."""
        self._check_free()
        self._entered = True
        self._target = target or place_of(frame)
        if self._passive:
            return
        for file in (frame.f_code.co_filename, *files):
            if file is not None and not _is_of_torch(file):
                self._sources.include(file)
        for file, text in (texts or {}).items():
            self._sources.units[file] = SourceUnit(file, shown_path(Path(file)), text)
        self._frame, self._names = frame, dict(names or {})
        self._following.enter_context(followed_calls(things, self._sources))
        recorder = self._recorder = Recorder(self._sources, live=True)
        recorder.start()
        recorder.begin_in(frame, self._names)

    def end(self, error: BaseException | None = None) -> None:
        recorder, frame = self._recorder, self._frame
        self._ended = True
        self._frame = None
        if recorder is None or frame is None or os.getpid() != self._process:
            return
        filename = frame.f_code.co_filename
        unit = self._sources.unit(filename) or SourceUnit(filename, filename, "")
        try:
            recorder.flush_names(frame)
            recorder.unit_finished(unit, {**self._names, **visible_names(frame)})
        finally:
            self._names = {}
            recorder.stop()
            self._following.close()
        if not unit.text:
            recorder.recording.notes.append(
                f"the source of `{filename}` cannot be read: some names may be missing"
            )
        if error is not None:
            fault = describe(error, unit, self._sources)
            self._outcome.faults.append(fault)
            self._outcome.ended = Ending.EXCEPTION
            self._outcome.ended_at = fault.location
            self._outcome.explanation = f"the watched code raised {fault}"

    @contextmanager
    def holding_writes(self) -> Iterator[None]:
        """What is called in it writes into a private folder; the report says what."""
        with writes_held_back(self._sources.is_user) as tree:
            try:
                yield
            finally:
                self._outcome.note_written(written_by_program(tree))

    @property
    def recording(self) -> Recording:
        """What was recorded so far."""
        if self._recorder is None:
            raise WatchError(self._not_yet())
        return self._recorder.recording

    @property
    def recorder(self) -> Recorder:
        if self._recorder is None:
            raise WatchError(self._not_yet())
        return self._recorder

    def report(
        self, *, select: str | Sequence[str] | None = None, ignore: str | Sequence[str] | None = None,
        thresholds: Mapping[str, float] | None = None, fix_budget_s: float | None = None,
        total_budget_s: float | None = None, loss: str | None = None,
        pairs: Mapping[str, str] | None = None,
    ) -> Report:  # fmt: skip
        """Judges what was recorded. Also after the body ended with an exception: what it did until then counts.

        It can be asked for again, with other settings.

        Args:
            select: only these rules: codes, names, or the beginnings of codes.
            ignore: not these rules.
            thresholds: numbers for rules, by their keys: `{"GC202.tanh-limit": 0.95}`.
            fix_budget_s: seconds to look for a fix, per fault; 0 looks for none.
            total_budget_s: the same for all faults together.
            loss: the name of the loss, or an expression, as `--loss` on the command line.
            pairs: the value that each gradient belongs to, by name, as `--pair`.

        Raises:
            NothingToCheckError: no manual gradient was found.
            ValueError: there is no such rule.
        """
        settings = in_force().but(select, ignore, thresholds, fix_budget_s, total_budget_s)
        if self._recorder is None or not self._ended:
            raise WatchError(self._not_yet())
        options = SessionOptions(
            self._target,
            loss=loss,
            pairs=dict(pairs or {}),
            fix_budget_s=settings.fix_budget_s,
            total_budget_s=settings.total_budget_s,
            select=settings.select,
            ignore=settings.ignore,
            thresholds=dict(settings.thresholds),
        )
        recording = self._recorder.recording
        notes = list(recording.notes)
        try:
            with kept_torch_settings(), torch_as_imported():
                report = analyse(
                    recording,
                    self._sources,
                    self._outcome,
                    options,
                    words=_WORDS,
                    most_repeats=_MOST_REPEATS,
                    watched=True,
                    holds=self.holds,
                    explained=self.explained,
                )
        except ProgramError as error:
            raise NothingToCheckError("\n".join(filter(None, (error.message, error.hint)))) from None
        finally:
            recording.notes[:] = notes  # a second report adds its own
        if settings.reports is not None:
            settings.reports.append(report)
        return report

    def _check_free(self) -> None:
        if self._entered:
            raise WatchError("this watch has been used: `gradcheck.watch()` makes a new one for each step")
        other = active.current()
        if other is None:
            return
        if other.live:
            raise WatchError(
                "a watch cannot begin inside of another one: what runs in it is recorded already, so leave the inner "
                "`gradcheck.watch()` (or `check`, or `assert_gradients`) out"
            )
        self._passive = True  # `gradcheck report` runs this program, and records all of it

    def _not_yet(self) -> str:
        if self._passive:
            return "`gradcheck report` runs this program and writes its report: a watch inside of it has none"
        if not self._entered:
            return "nothing was recorded: write `with gradcheck.watch() as watched:` and the step in its body"
        return "the step is still being recorded: ask for the report after the `with` block"

    def __repr__(self) -> str:
        state = "ended" if self._ended else "recording" if self._entered else "not entered"
        count = len(self._recorder.recording.ops) if self._recorder is not None else 0
        return f"<gradcheck.Watched {self._target}: {state}, {count} tensor operations>".replace(" :", ":")


def _is_of_torch(file: str) -> bool:
    """Files of torch itself are never the person's, even if a layer of torch is given."""
    return any(Path(file).is_relative_to(Path(module.__file__ or "").parent) for module in (torch, np))
