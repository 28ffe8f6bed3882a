"""One cell of a notebook that is open: run in the person's namespace, with loops that can be left after the wanted step.

Nothing else is as in a run of a whole program: files, random numbers, settings and names are those of the session, and
what the cell changes stays changed.
"""

import ast
import copy
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import CodeType

from gradcheck.program.array_calls import through_hooks
from gradcheck.program.faults import describe, strip_own_frames
from gradcheck.program.loop_watch import LoopWatch
from gradcheck.program.loops import LoopTable, compile_watched
from gradcheck.program.magics import SkippedLine, strip_magics
from gradcheck.program.observer import Observer
from gradcheck.program.outcome import Ending, RunOutcome
from gradcheck.program.source import SourceMap, SourceUnit
from gradcheck.program.writes.hold import writes_held_back, written_by_program


@dataclass(frozen=True, slots=True)
class CellText:
    """A cell as it was typed. The magic that runs it is above line `first_line`, from 1, of the code to run;
    `number` is what is shown beside the cell once it has run. `filename` is what its code is known by, if it is."""

    text: str
    first_line: int
    number: int
    filename: str | None = None

    @property
    def body(self) -> str:
        """The code with empty lines in place of what is above it."""
        lines = self.text.split("\n")
        above = self.first_line - 1
        return "\n".join([""] * above + lines[above:])


@dataclass(slots=True)
class LiveCell:
    """`codes` are run one after the other."""

    unit: SourceUnit
    codes: list[CodeType]
    skipped: list[SkippedLine] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.codes


@dataclass(frozen=True, slots=True)
class CellSettings:
    """How the shell treats a cell. `run` makes the Python that runs a magic; `displays`: the value of an expression at
    the end is shown, unless a semicolon follows; `flags` are those of `compile`."""

    run: Callable[[str], str]
    transform: Callable[[ast.Module], ast.Module] = lambda tree: tree
    displays: bool = True
    flags: int = 0


def plain_cell(cell: CellText, filename: str, settings: CellSettings) -> tuple[SourceUnit, list[SkippedLine]]:
    """The cell as a source unit: its magics are calls that run them."""
    plain, skipped = strip_magics(cell.body, cell.number, settings.run)
    return SourceUnit(filename, "notebook", cell.text, cell.number, plain), skipped


def compile_cell(
    unit: SourceUnit, skipped: list[SkippedLine], settings: CellSettings, loops: LoopTable
) -> LiveCell:
    """Raises SyntaxError if it is no Python."""
    if unit.tree.error is not None:
        raise unit.tree.error
    tree = settings.transform(copy.deepcopy(unit.tree.module))  # the shell's transformers change it
    last = tree.body[-1] if tree.body else None
    shown = None
    if isinstance(last, ast.Expr) and settings.displays and not _is_silenced(unit.code, last):
        shown = tree.body.pop()
    cell = LiveCell(unit, [], skipped)
    if tree.body:
        cell.codes.append(compile_watched(tree, unit.filename, loops, flags=settings.flags))
    if shown is not None:
        displayed = ast.Interactive(
            [through_hooks(ast.Module([shown], [])).body[0] if loops.array_calls else shown]
        )
        cell.codes.append(compile(displayed, unit.filename, "single", settings.flags, dont_inherit=True))
    return cell


def run_cell(
    cell: LiveCell,
    observer: Observer,
    sources: SourceMap,
    namespace: dict[str, object],
    allow_writes: bool = False,
) -> tuple[RunOutcome, BaseException | None]:
    """Runs the cell once. What it raises is handed back, with the traceback that it would have without us. A loop that
    was left may be followed by a `torch.save`: what the cell writes is not kept, except with `allow_writes`."""
    outcome = RunOutcome(skipped=list(cell.skipped))
    watch = LoopWatch(observer)
    raised: BaseException | None = None
    cleanup = ExitStack()
    tree = cleanup.enter_context(writes_held_back(sources.is_user, allow_writes))
    way_out = "; `%%gradcheck --allow-writes` lets it write"
    cleanup.callback(lambda: outcome.note_written(written_by_program(tree), "the cell", way_out))
    try:
        watch.install()
        observer.start()
        observer.unit_started(cell.unit)
        try:
            for code in cell.codes:
                exec(code, namespace)
        except BaseException as error:
            raised = error
        finally:
            observer.unit_finished(cell.unit, namespace)
    finally:
        observer.stop()
        watch.turn_off()
        cleanup.close()
    if raised is not None:
        _note_error(raised, cell.unit, sources, outcome)
        strip_own_frames(raised)
    return outcome, raised


def _note_error(error: BaseException, unit: SourceUnit, sources: SourceMap, outcome: RunOutcome) -> None:
    fault = describe(error, unit, sources)
    if isinstance(error, SystemExit):
        outcome.ended, outcome.ended_at = Ending.EXIT, fault.location
        outcome.explanation = f"the cell called exit({'' if error.code is None else repr(error.code)})"
        return
    outcome.faults.append(fault)


def _is_silenced(code: str, last: ast.Expr) -> bool:
    """Whether a semicolon follows it."""
    line = code.split("\n")[(last.end_lineno or last.lineno) - 1].encode()
    return line[last.end_col_offset or 0 :].lstrip().startswith(b";")
