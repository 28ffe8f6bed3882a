"""The person's own lines that a report quotes, kept with it: it is often read where the program is not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gradcheck.checks.finding import Finding
from gradcheck.judge.verdict import GradientResult
from gradcheck.program.location import Location
from gradcheck.program.source import SourceMap

_CONTEXT = 2  # lines before and after the first and the last gradient
_NEIGHBOURS = 12  # lines apart
_Unit = tuple[str, int | None]  # file and cell
_Place = tuple[str, int | None, int, int]  # and the first and the last line


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


def collect_excerpts(
    findings: Iterable[Finding], sources: SourceMap, rows: Iterable[GradientResult] = ()
) -> list[Excerpt]:
    """The lines under every finding and every fix, each stretch once; then those that compute the gradients `rows`, with
    what stands between neighbours."""
    texts = {(unit.file, unit.cell): source_lines(unit.text) for unit in sources.units.values()}
    excerpts: dict[Excerpt, None] = {}
    for place in (*_places(findings), *_stretches(rows, texts)):
        lines = texts.get(place[:2])
        first, last = place[2:]
        if lines is not None and 1 <= first <= last <= len(lines):
            excerpts[Excerpt(*place[:2], first, tuple(lines[first - 1 : last]))] = None
    return list(excerpts)


def source_lines(text: str) -> list[str]:
    """`text` in the lines Python counts; `str.splitlines` breaks at form feeds and other separators too."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _places(findings: Iterable[Finding]) -> Iterator[_Place]:
    for finding in findings:
        for location in (finding.location, *([finding.fix.location] if finding.fix else [])):
            yield location.file, location.cell, location.line, location.end_line


def _stretches(rows: Iterable[GradientResult], texts: Mapping[_Unit, Sequence[str]]) -> Iterator[_Place]:
    spans: dict[_Unit, list[tuple[int, int]]] = {}
    for row in rows:
        for location in (row.location, *row.lines):
            spans.setdefault((location.file, location.cell), []).append((location.line, location.end_line))
    for unit, found in spans.items():
        most = len(texts.get(unit, ()))
        begin = end = 0
        for first, last in sorted(found):
            if end and first > end + _NEIGHBOURS:
                yield *unit, max(begin - _CONTEXT, 1), min(end + _CONTEXT, most)
                begin = end = 0
            begin, end = begin or first, max(end, last)
        yield *unit, max(begin - _CONTEXT, 1), min(end + _CONTEXT, most)
