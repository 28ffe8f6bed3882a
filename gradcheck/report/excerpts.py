"""The person's own lines that a report quotes, kept with it: it is often read where the program is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gradcheck.checks.finding import Finding
from gradcheck.program.location import Location
from gradcheck.program.source import SourceMap


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Consecutive lines of one file or cell; `first_line` is the number of the first."""

    file: str
    cell: int | None
    first_line: int
    lines: tuple[str, ...]

    @property
    def end_line(self) -> int:
        return self.first_line + len(self.lines) - 1

    def covers(self, location: Location) -> bool:
        return (
            (self.file, self.cell) == (location.file, location.cell)
            and self.first_line <= location.line
            and location.end_line <= self.end_line
        )

    def line(self, number: int) -> str:
        return self.lines[number - self.first_line]


def find_excerpt(excerpts: Iterable[Excerpt], location: Location) -> Excerpt | None:
    return next((excerpt for excerpt in excerpts if excerpt.covers(location)), None)


def collect_excerpts(findings: Iterable[Finding], sources: SourceMap) -> list[Excerpt]:
    """The lines under every finding and every fix, each stretch once."""
    texts = {(unit.file, unit.cell): source_lines(unit.text) for unit in sources.units.values()}
    excerpts: dict[Excerpt, None] = {}
    for location in _locations(findings):
        lines = texts.get((location.file, location.cell))
        if lines is not None and 1 <= location.line <= location.end_line <= len(lines):
            span = tuple(lines[location.line - 1 : location.end_line])
            excerpts[Excerpt(location.file, location.cell, location.line, span)] = None
    return list(excerpts)


def source_lines(text: str) -> list[str]:
    """`text` in the lines Python counts; `str.splitlines` breaks at form feeds and other separators too."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _locations(findings: Iterable[Finding]) -> Iterator[Location]:
    for finding in findings:
        yield finding.location
        if finding.fix is not None:
            yield finding.fix.location
