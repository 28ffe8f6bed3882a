"""The report: everything a renderer may show, and the JSON contract.

`docs/report-json.md` describes the JSON for its readers; `schema.json` is its schema. Keys may be added,
never renamed. This file imports no torch: reports are read where torch need not be installed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import gradcheck
from gradcheck.checks.evidence import Evidence
from gradcheck.checks.finding import Finding, Severity, SuppressedFinding
from gradcheck.checks.states import CheckState
from gradcheck.health.records import Health
from gradcheck.isolation.records import Isolation
from gradcheck.program.location import Location
from gradcheck.program.magics import SkippedLine
from gradcheck.replay.verdict import GradientResult, PassResult, Verdict
from gradcheck.report import dataclass_codec, encoding
from gradcheck.report import isolation as isolation_section
from gradcheck.report.excerpts import Excerpt, find_excerpt
from gradcheck.report.health.section import checks_table, health_tables
from gradcheck.report.program_section import CellError, ProgramSection
from gradcheck.report.tables import Table

if TYPE_CHECKING:
    import pandas


@dataclass(slots=True)
class Report:
    schema: ClassVar[int] = 1

    target: str
    passes: list[PassResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    program: ProgramSection = field(default_factory=ProgramSection)
    excerpts: list[Excerpt] = field(default_factory=list)
    version: str = gradcheck.__version__
    health: Health = field(default_factory=Health)
    checks: list[CheckState] = field(default_factory=list)
    suppressed: list[SuppressedFinding] = field(default_factory=list)  # by comments; they count for nothing
    isolation: Isolation | None = None  # what each fault costs, where that was asked for

    @classmethod
    def build(
        cls,
        target: str,
        evidence: Evidence,
        findings: Iterable[Finding],
        program: ProgramSection | None = None,
        excerpts: Iterable[Excerpt] = (),
        checks: Iterable[CheckState] = (),
        suppressed: Iterable[SuppressedFinding] = (),
    ) -> Report:
        return cls(
            target,
            evidence.passes,
            list(findings),
            program or ProgramSection(),
            list(excerpts),
            health=evidence.health,
            checks=list(checks),
            suppressed=list(suppressed),
        )

    @property
    def gradients(self) -> list[GradientResult]:
        return [row for step in self.passes for row in step.gradients]

    @property
    def summary(self) -> dict[str, int]:
        """How many rows had which verdict; `checked` counts all that have one, so all but `unchecked`."""
        counts = Counter(row.verdict for row in self.gradients)
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

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": self.schema,
            "version": self.version,
            "target": self.target,
            "exit_status": self.exit_status,
            "summary": self.summary,
            "program": encoding.encode(self.program),
            "passes": [encoding.encode_pass(step) for step in self.passes],
            "gradients": [encoding.encode(row) for row in self.gradients],
            "findings": [encoding.encode(finding) for finding in self.findings],
            "suppressed": [encoding.encode_suppressed(each) for each in self.suppressed],
            "health": encoding.encode(self.health),
            "checks": encoding.encode(self.checks),
            "isolation": isolation_section.encoded(self.isolation),
            "excerpts": [encoding.encode(excerpt) for excerpt in self.excerpts],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        if data.get("schema") != cls.schema:
            raise ValueError(
                f"this is a report of schema {data.get('schema')!r}; schema {cls.schema} is known"
            )
        gradients = [encoding.decode_gradient(row) for row in data["gradients"]]
        program = data["program"]
        return cls(
            target=data["target"],
            passes=[encoding.decode_pass(step, gradients) for step in data["passes"]],
            findings=[encoding.decode_finding(row) for row in data["findings"]],
            program=ProgramSection(
                skipped=[encoding.known(SkippedLine, row) for row in program["skipped"]],
                errors=[encoding.known(CellError, row) for row in program["errors"]],
                notes=list(program["notes"]),
                ended=program["ended"],
                explanation=program.get("explanation", ""),
            ),
            excerpts=[
                Excerpt(row["file"], row["cell"], row["first_line"], tuple(row["lines"]))
                for row in data["excerpts"]
            ],
            suppressed=[encoding.decode_suppressed(row) for row in data.get("suppressed", [])],
            version=data["version"],
            health=dataclass_codec.decode(Health, data.get("health", {})),
            checks=[dataclass_codec.decode(CheckState, row) for row in data.get("checks", [])],
            isolation=data.get("isolation") and dataclass_codec.decode(Isolation, data["isolation"]),
        )

    @property
    def tables(self) -> list[Table]:
        """Every table of the health section, and of the isolation, that has rows; `to_dataframe` takes their names."""
        return [*health_tables(self.health), *isolation_section.tables(self.isolation)]

    def to_dataframe(self, table: str = "gradients") -> pandas.DataFrame:
        """One of the report's tables. "gradients": one row per gradient; the loss and the iteration of its pass stand
        beside it. "checks": one row per rule. The others are those of `tables`, by name; raises KeyError if the
        report has no such table."""
        if table == "checks":
            return checks_table(self.checks).to_dataframe()
        if table != "gradients":
            found = {known.name: known for known in self.tables}
            if table not in found:
                raise KeyError(f"{table!r}; this report has {', '.join(('gradients', 'checks', *found))}")
            return found[table].to_dataframe()
        import pandas  # takes half a second, and most reports are never asked for one

        return pandas.DataFrame(
            [_flat_row(step, row) for step in self.passes for row in step.gradients], columns=list(_COLUMNS)
        )


_COLUMNS = (
    "pass_index", "loss", "iteration", "name", "of", "file", "cell", "line", "column", "total_error",
    "local_error", "hidden_error", "noise", "cosine", "worst_index", "worst_expected", "worst_found",
    "expected_norm", "found_norm", "mismatched", "elements", "shape", "dtype", "verdict", "problem", "reason",
    "occurrences",
)  # fmt: skip


def _flat_row(step: PassResult, row: GradientResult) -> dict[str, Any]:
    place, worst = row.location, row.worst
    known = {
        "loss": step.loss,
        "iteration": step.iteration,
        "file": place.file,
        "cell": place.cell,
        "line": place.line,
        "column": place.column,
        "worst_index": worst.index if worst else None,
        "worst_expected": worst.expected if worst else None,
        "worst_found": worst.found if worst else None,
        "verdict": row.verdict.value,
        "problem": row.problem.value,
    }
    return {column: known[column] if column in known else getattr(row, column) for column in _COLUMNS}
