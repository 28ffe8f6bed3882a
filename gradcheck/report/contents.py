"""What a report holds: every renderer shows it, and `gradcheck.report.model.Report` adds the renderers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck.base.codec import encode
from gradcheck.base.version import __version__
from gradcheck.checks.finding import Finding, Severity, SuppressedFinding
from gradcheck.checks.registry import CheckState
from gradcheck.health.records import Health
from gradcheck.isolation.records import Isolation
from gradcheck.judge.verdict import GradientResult, PassResult, Verdict
from gradcheck.program.errors import ProgramError
from gradcheck.program.location import Location
from gradcheck.program.source import SourceMap
from gradcheck.report import isolation as isolation_section
from gradcheck.report.health.tables import health_tables
from gradcheck.report.program_section import ProgramSection
from gradcheck.report.tables import Table

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
        joined: list[tuple[int, int]] = []
        for first, last in sorted(found):
            near = bool(joined) and first <= joined[-1][1] + _NEIGHBOURS
            begin, end = joined.pop() if near else (first, last)
            joined.append((begin, max(end, last)))
        yield from ((*unit, max(b - _CONTEXT, 1), min(e + _CONTEXT, most)) for b, e in joined)


@dataclass(slots=True)
class ReportContents:
    """`findings` are the causes, each at the line to edit; `rows` are all gradients with their verdicts."""

    target: str
    passes: list[PassResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    program: ProgramSection = field(default_factory=ProgramSection)
    excerpts: list[Excerpt] = field(default_factory=list)
    version: str = __version__
    health: Health = field(default_factory=Health)
    checks: list[CheckState] = field(default_factory=list)
    suppressed: list[SuppressedFinding] = field(default_factory=list)  # by comments; they count for nothing
    arguments: list[str] = field(default_factory=list)  # that the program was given
    accepted: list[Finding] = field(default_factory=list)  # a baseline holds them; they count for nothing
    watched: bool = False  # a part of a program that was running, so that no command can run it again
    isolation: Isolation | None = None  # what each fault costs, where that was asked for

    @property
    def rows(self) -> list[GradientResult]:
        """Every gradient of every pass."""
        return [row for step in self.passes for row in step.gradients]

    @property
    def summary(self) -> dict[str, int]:
        """How many rows had which verdict; `checked` counts all that have one, so all but `unchecked`."""
        counts = Counter(row.verdict for row in self.rows)
        return {
            "checked": counts.total() - counts[Verdict.UNCHECKED],
            **{verdict.value: counts[verdict] for verdict in Verdict},
            "passes": len(self.passes),
            **{f"{severity.value}s": self.count(severity) for severity in Severity},
        }

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def exit_status(self) -> int:
        """1 if a finding is at error level. (2, "could not be used", never comes with a report.)"""
        return 1 if self.count(Severity.ERROR) else 0

    def excerpt(self, location: Location) -> Excerpt | None:
        """The person's lines at `location`, if they were kept."""
        return find_excerpt(self.excerpts, location)

    def place_to_edit(self, row: GradientResult) -> Location:
        """The line of a gradient, or the one where the cause was proved to lie."""
        own = encode(row.location)
        for finding in self.findings:
            known = finding.evidence
            if known.get("gradient_line") == own and row.name in known.get("gradients", ()):
                return finding.location
        return row.location

    @property
    def tables(self) -> list[Table]:
        """Every table of the health section, and of the isolation, that has rows; `to_dataframe` takes their names."""
        return [*health_tables(self.health), *isolation_section.tables(self.isolation)]


@dataclass(frozen=True, slots=True)
class FailedTarget:
    target: str
    error: ProgramError

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "version": __version__,
            "target": self.target,
            "exit_status": 2,
            "error": self.error.to_dict(),
        }
