"""One cell: run, recorded and reported on."""

import __future__

import linecache
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import FrameType, FunctionType, ModuleType
from typing import Any

from IPython.core.error import UsageError

from gradcheck.analysis.following import followed_cell
from gradcheck.analysis.session import Words, analyse
from gradcheck.base import numbers
from gradcheck.base.errors import InternalError, internal_error
from gradcheck.base.options import SessionOptions
from gradcheck.fronts import active
from gradcheck.fronts.namespace import names_of_person, readable
from gradcheck.fronts.recorder import Recorder
from gradcheck.fronts.tape import Recording
from gradcheck.program.errors import ProgramError
from gradcheck.program.live import LiveSources
from gradcheck.program.live_cell import CellSettings, CellText, LiveCell, compile_cell, plain_cell, run_cell
from gradcheck.program.loops import LoopSite, LoopTable
from gradcheck.program.observer import LoopEnd
from gradcheck.program.outcome import RunOutcome
from gradcheck.program.source import SourceUnit
from gradcheck.program.torch_settings import kept_torch_settings, torch_as_imported
from gradcheck.report.model import Report

_WORDS = Words(
    loss="name the loss with `%%gradcheck --loss NAME`",
    pair="a pair with `--pair dX=X`",
    nothing_seen=(
        "no operation of torch or NumPy was recorded",
        "check the cell that computes a training step",
    ),
)
_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)


@dataclass(slots=True)
class Checked:
    """What became of a cell: a report, or the reason why there is none."""

    text: CellText
    report: Report | None = None
    notice: str = ""
    internal: InternalError | None = None
    raised: BaseException | None = None
    was_left: bool = False  # its training loop, before its end


class CellRecorder(Recorder):
    """Keeps which loops were left before their end."""

    def __init__(self, sources: LiveSources, at: tuple[int, ...]) -> None:
        super().__init__(sources, at, live=True)
        self._loops = sources.loops
        self.left: set[int] = set()

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        is_left = super().iteration_finished(loop, activation, index, frame)
        if is_left and self._loops.sites[loop].is_while:  # whose end is not always internal
            self.left.add(loop)
        return is_left

    def unit_finished(self, unit: SourceUnit, namespace: dict[str, object]) -> None:
        super().unit_finished(unit, names_of_person(namespace))

    def loop_ended(self, loop: int, activation: int, how: LoopEnd) -> None:
        super().loop_ended(loop, activation, how)
        if how is LoopEnd.LEFT:
            self.left.add(loop)


def check_cell(shell: Any, text: CellText, options: SessionOptions, loops: LoopTable) -> Checked:
    """Runs the cell in the namespace of `shell`, once, and reports on what it did. `loops` are those of all cells that
    were checked in this session: a function of an earlier one may be called. Raises SyntaxError and UsageError, then
    nothing was run."""
    if active.current() is not None:
        raise UsageError("%%gradcheck: a recording is already running; one cell is checked at a time")
    sources = LiveSources(loops=loops)
    namespace = shell.user_ns
    checked = Checked(text)
    with _compiled(shell, text, sources) as cell:
        if cell.is_empty:
            checked.notice = "Nothing was run: the cell has no code."
            return checked
        _read_definitions(sources, namespace)
        recorder = CellRecorder(sources, options.at)
        outcome, checked.raised = _recorded(cell, recorder, sources, namespace, options.allow_writes)
    if isinstance(checked.raised, KeyboardInterrupt):
        return checked  # who stops a cell does not wait for a report
    recording = recorder.recording
    recording.final_namespace = readable(names_of_person(namespace))
    left = _loops_left(recording, recorder.left, loops, sources)
    outcome.notes += left
    checked.was_left = bool(left)
    options = replace(options, target=f"cell {text.number}")
    try:
        with kept_torch_settings(), torch_as_imported():
            checked.report = analyse(
                recording,
                sources,
                outcome,
                options,
                words=_WORDS,
                most_repeats=None if recorder.left else 1,
                watched=True,
            )
    except ProgramError as error:
        checked.notice = _why_nothing(error, checked.raised)
    except Exception as error:
        checked.internal = InternalError(**internal_error(error, traceback.format_exc()))
    return checked


def _recorded(
    cell: LiveCell, recorder: Recorder, sources: LiveSources, namespace: dict[str, object], allow_writes: bool
) -> tuple[RunOutcome, BaseException | None]:
    recorder.begin_with(names_of_person(namespace), sys._getframe())
    return run_cell(cell, recorder, sources, namespace, allow_writes)


@contextmanager
def _compiled(shell: Any, text: CellText, sources: LiveSources) -> Iterator[LiveCell]:
    """The cell, to be run while what it calls is followed."""
    shell_settings = CellSettings(
        run=shell.transform_cell,
        transform=shell.transform_ast,
        displays=shell.ast_node_interactivity != "none",
        flags=shell.compile.flags & _FUTURE,
    )
    unit, skipped = plain_cell(text, "", shell_settings)
    # The name that IPython has given to the cell already, so that tracebacks, breakpoints and `inspect` know it.
    filename = text.filename or shell.compile.cache(unit.code, text.number, raw_code=text.text)
    lines = [line + "\n" for line in unit.code.split("\n")]
    linecache.cache[filename] = (len(unit.code), None, lines, filename)
    unit = replace(unit, filename=filename)
    sources.add(unit)
    with ExitStack() as following:
        try:
            if unit.tree.error is None:
                following.enter_context(followed_cell(unit, shell.user_ns, sources, shell_settings.flags))
            cell = compile_cell(unit, skipped, shell_settings, sources.loops)
        except SyntaxError as error:
            if error.msg and "outside" in error.msg and ("await" in error.msg or "async" in error.msg):
                raise UsageError(
                    f"%%gradcheck: line {error.lineno} awaits something, which a checked cell cannot do; move it to "
                    "another cell"
                ) from None
            raise
        yield cell


def _read_definitions(sources: LiveSources, namespace: Mapping[str, object]) -> None:
    """The person's functions that the cell may call, wherever they are defined."""
    for held in list(namespace.values()):
        for file in _files(held):
            if sources.is_user(file):
                sources.unit(file)


def _files(held: object) -> list[str]:
    if isinstance(held, FunctionType):
        return [held.__code__.co_filename]
    if isinstance(held, type):
        return [f.__code__.co_filename for f in vars(held).values() if isinstance(f, FunctionType)]
    if isinstance(held, ModuleType):
        file = getattr(held, "__file__", None)
        return [file] if isinstance(file, str) else []
    return []


def _loops_left(recording: Recording, left: set[int], loops: LoopTable, sources: LiveSources) -> list[str]:
    """Says that a training loop did not run to its end: it matters for the following cells."""
    last: dict[int, int] = {}
    for mark in recording.marks:
        if mark.what == "step-end" and mark.loop in left:
            last[mark.loop] = mark.number
    return [
        _left(loops.sites[loop], number, sources.unit(loops.sites[loop].filename))
        for loop, number in last.items()
    ]


def _left(site: LoopSite, iteration: int, unit: SourceUnit | None) -> str:
    cell = f"cell {unit.cell} " if unit is not None and unit.cell is not None else ""
    steps = numbers.count(iteration + 1, "step")
    return (
        f"the training loop in {cell}line {site.line} was left after its iteration {iteration}: what it trains has "
        f"moved by {steps}, and goes on from there if the cell is run again"
    )


def _why_nothing(error: ProgramError, raised: BaseException | None) -> str:
    if raised is not None:
        return "Nothing to check: the cell raised before it had computed a gradient."
    message = f"Nothing to check: {error.message}"
    return f"{message}; {error.hint}." if error.hint else f"{message}."
