"""How a run went: what was left out, what raised, and how it ended."""

from dataclasses import dataclass, field
from enum import StrEnum

from gradcheck.program.location import Location
from gradcheck.program.magics import SkippedLine
from gradcheck.program.written import Written, said


class Ending(StrEnum):
    COMPLETED = "completed"
    EXCEPTION = "exception"  # a script raised; of a notebook, only the cell ends
    EXIT = "exit"  # SystemExit, exit(), os._exit
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Fault:
    """An exception that ended a cell or the script, at the person's own line."""

    cell: int | None
    location: Location | None  # None if none of the person's frames was on the stack
    type: str
    message: str
    text: str = ""  # the person's line
    hint: str = ""
    caller: Location | None = None  # the line of the cell or script that called what raised

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True)
class MissingFile:
    """A data file the program wanted and did not find."""

    name: str
    location: Location | None
    hint: str


@dataclass
class RunOutcome:
    ended: Ending = Ending.COMPLETED
    ended_at: Location | None = None  # for EXCEPTION and TIMEOUT
    explanation: str = ""  # "still running after 120 s at train.py:12:5"; empty for COMPLETED
    faults: list[Fault] = field(default_factory=list)
    skipped: list[SkippedLine] = field(default_factory=list)
    missing: list[MissingFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)  # and not kept

    def note_written(self, written: list[Written], who: str = "the program", way_out: str = "") -> None:
        """`way_out`: how it can be let write."""
        self.written = written
        if written:
            self.notes.append(said(written, who) + way_out)
