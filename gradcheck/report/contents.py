"""What a report holds: every renderer shows it, and `gradcheck.report.model.Report` adds the renderers.

This file imports no torch: reports are read where torch need not be installed.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gradcheck.base.codec import encode
from gradcheck.base.version import __version__
from gradcheck.checks.finding import Finding, Severity, SuppressedFinding
from gradcheck.checks.states import CheckState
from gradcheck.health.records import Health
from gradcheck.isolation.records import Isolation
from gradcheck.judge.verdict import GradientResult, PassResult, Verdict
from gradcheck.program.errors import ProgramError
from gradcheck.program.location import Location
from gradcheck.report import isolation as isolation_section
from gradcheck.report.excerpts import Excerpt, find_excerpt
from gradcheck.report.health.tables import health_tables
from gradcheck.report.program_section import ProgramSection
from gradcheck.report.tables import Table


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
