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
from gradcheck.base.errors import GradientError
from gradcheck.checks.evidence import Evidence
from gradcheck.checks.finding import Finding, Severity, SuppressedFinding
from gradcheck.checks.states import CheckState
from gradcheck.health.records import Health
from gradcheck.isolation.records import Isolation
from gradcheck.judge.verdict import GradientResult, PassResult, Verdict
from gradcheck.program.location import Location
from gradcheck.program.magics import SkippedLine
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
    """What gradcheck found. `findings` are the causes, each at the line to edit; `rows` are all gradients with their
    verdicts, `gradients` the same as a DataFrame. In a notebook it shows itself."""

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
    watched: bool = False  # a part of a program that was running, so that no command can run it again
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
        watched: bool = False,
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
            watched=watched,
        )

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

    @property
    def gradients(self) -> pandas.DataFrame:
        """One row per gradient, as a DataFrame: see `to_dataframe`."""
        return self.to_dataframe()

    def raise_for_errors(self) -> None:
        """Raises GradientError if a finding is at error level; its text is those findings, each with the person's line
        and a caret under what is wrong."""
        __tracebackhide__ = True
        if self.exit_status:
            from gradcheck.report.plain import error_text  # the renderers stand on this model

            raise GradientError(error_text(self))

    def to_markdown(self) -> str:
        """The whole report as Markdown."""
        from gradcheck.report import markdown

        return markdown.render(self)

    def _repr_html_(self) -> str:
        from gradcheck.report import html

        return html.render(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole report as plain data: the JSON of `gradcheck report --format json`."""
        return {
            "schema": self.schema,
            "version": self.version,
            "target": self.target,
            "watched": self.watched,
            "exit_status": self.exit_status,
            "summary": self.summary,
            "program": encoding.encode(self.program),
            "passes": [encoding.encode_pass(step) for step in self.passes],
            "gradients": [encoding.encode(row) for row in self.rows],
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
            watched=data.get("watched", False),
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
