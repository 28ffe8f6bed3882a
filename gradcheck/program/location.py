"""Where something is in the person's own source."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A span of the person's source.

    `file` is the path as the person knows it (relative to the directory the tool was started in where
    possible). `cell` counts code cells from 1, or is None for a script. `line` and `end_line` count from 1
    inside the cell (inside the file for a script). `column` and `end_column` count characters from 1;
    `end_column` is the first column after the span.
    """

    file: str
    cell: int | None
    line: int
    end_line: int
    column: int
    end_column: int

    def __str__(self) -> str:
        cell = "" if self.cell is None else f"[cell {self.cell}]"
        return f"{self.file}{cell}:{self.line}:{self.column}"
