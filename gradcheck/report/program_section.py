"""What the report says about the program itself: what was left out of it and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradcheck.program.magics import SkippedLine

if TYPE_CHECKING:
    from gradcheck.program.outcome import RunOutcome


@dataclass(frozen=True, slots=True)
class CellError:
    """A cell, or the script, that raised; a notebook's run went on with the next cell, as its user would."""

    cell: int | None
    line: int | None  # of the person's own code, where one was on the stack
    error: str  # "NameError: name 'x' is not defined"
    text: str = ""  # the person's line
    hint: str = ""


@dataclass(slots=True)
class ProgramSection:
    """`ended` is "completed", "exception", "exit" or "timeout"; `explanation` says more where there is
    more to say."""

    skipped: list[SkippedLine] = field(default_factory=list)
    errors: list[CellError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ended: str = "completed"
    explanation: str = ""

    @classmethod
    def from_outcome(cls, outcome: RunOutcome) -> ProgramSection:
        hints = {missing.location: missing.hint for missing in outcome.missing}
        return cls(
            skipped=list(outcome.skipped),
            errors=[
                CellError(
                    fault.cell,
                    fault.location.line if fault.location else None,
                    str(fault),
                    fault.text,
                    fault.hint or hints.get(fault.location, ""),
                )
                for fault in outcome.faults
            ],
            notes=list(outcome.notes),
            ended=outcome.ended.value,
            explanation=outcome.explanation,
        )
