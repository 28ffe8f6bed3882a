"""What the report says about the program itself: what was left out of it and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradcheck.program.magics import SkippedLine
from gradcheck.program.written import Written

if TYPE_CHECKING:
    from gradcheck.program.outcome import Fault, RunOutcome


@dataclass(frozen=True, slots=True)
class CellError:
    """A cell, or the script, that raised; a notebook's run went on with the next cell, as its user would."""

    cell: int | None
    line: int | None  # where it was raised, as far as that is the person's own code
    error: str  # "NameError: name 'x' is not defined"
    text: str = ""  # the person's line
    hint: str = ""
    file: str = ""  # of the line, where that is another than the program's
    called_from: str = ""  # "cell 2 line 1", where the line is in a function


@dataclass(slots=True)
class ProgramSection:
    """`ended` is "completed", "exception", "exit" or "timeout"; `explanation` says more where there is
    more to say."""

    skipped: list[SkippedLine] = field(default_factory=list)
    errors: list[CellError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ended: str = "completed"
    explanation: str = ""
    written: list[Written] = field(default_factory=list)  # by the program, and not kept
    # The layers of a file of definitions that were not judged.
    unread: list[str] = field(default_factory=list)
    stopped: str = ""  # what was being done when the person stopped the analysis

    @classmethod
    def from_outcome(cls, outcome: RunOutcome) -> ProgramSection:
        hints = {missing.location: missing.hint for missing in outcome.missing}
        return cls(
            skipped=list(outcome.skipped),
            errors=[
                _cell_error(fault, fault.hint or hints.get(fault.location, "")) for fault in outcome.faults
            ],
            notes=list(outcome.notes),
            ended=outcome.ended.value,
            explanation=outcome.explanation,
            written=list(outcome.written),
        )


def _cell_error(fault: Fault, hint: str) -> CellError:
    at, caller = fault.location, fault.caller
    if at is None:
        return CellError(fault.cell, None, str(fault), fault.text, hint)
    if caller is None or (caller.file, caller.cell, caller.line) == (at.file, at.cell, at.line):
        return CellError(at.cell, at.line, str(fault), fault.text, hint)
    file = at.file if at.file != caller.file else ""
    return CellError(at.cell, at.line, str(fault), fault.text, hint, file, where(caller.cell, caller.line))


def where(cell: int | None, line: int | None) -> str:
    """`cell 3 line 6`, or as much of it as there is."""
    parts = [f"cell {cell}"] if cell is not None else []
    if line is not None:
        parts.append(f"line {line}")
    return " ".join(parts) or "the program"
