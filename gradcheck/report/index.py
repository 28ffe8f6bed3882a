"""One row for each of several targets: how its gradients are, the worst finding, how long it took."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from gradcheck.base.ours import HEADING
from gradcheck.checks.finding import Finding, Severity
from gradcheck.judge.verdict import Verdict
from gradcheck.report.contents import FailedTarget, ReportContents
from gradcheck.report.html.element import enclosed
from gradcheck.report.html.page import document
from gradcheck.report.html.tables import table_of
from gradcheck.report.layout import describe, printable
from gradcheck.report.markup import markdown_table
from gradcheck.report.program_section import where
from gradcheck.report.tables import Column, Table, columns, percent

Outcome = ReportContents | FailedTarget
_NOT_RIGHT = (Verdict.INTRODUCED, Verdict.INHERITED, Verdict.UNCHECKED)
SPARE = ("unchecked", "seconds", "gradients", "state")  # what a narrow terminal can do without


class Solution(frozenset[str]):
    """The names of the gradients that a right program has."""

    @classmethod
    def of(cls, report: ReportContents) -> Solution:
        return cls(row.name for row in report.rows if row.verdict is Verdict.CORRECT)

    def compared(self, outcome: Outcome) -> dict[str, Any]:
        """The share of them that a program has right, and those that are missing there; of one that failed, nothing."""
        if isinstance(outcome, FailedTarget):
            return {}
        names = {row.name for row in outcome.rows}
        right = names - {row.name for row in outcome.rows if row.verdict in _NOT_RIGHT}
        return {"score": len(self & right) / len(self), "missing": sorted(self - names)}


@dataclass(frozen=True, slots=True)
class _Row:
    target: str
    state: str
    gradients: int | None = None
    right: int | None = None
    wrong: int | None = None
    unchecked: int | None = None
    worst: str = ""
    score: float | None = None
    missing: str = ""
    seconds: float | None = None


def table(
    outcomes: Sequence[Outcome], seconds: Mapping[str, float] | None = None, solution: Solution | None = None
) -> Table:
    """`seconds` by target; with a `solution`, the share of its gradients that each program has right, and what is missing."""
    rows = [_row(each, (seconds or {}).get(each.target), solution) for each in outcomes]
    shown = [
        *columns("target state gradients right wrong unchecked"),
        Column("worst", "worst finding", shown=lambda text: text or "-"),
    ]
    if solution is not None:
        shown.append(Column("score", "score", shown=percent))
        shown.append(Column("missing", "missing", shown=lambda text: text or "-"))
    if seconds:
        shown.append(Column("seconds", "seconds", shown=lambda s: "-" if s is None else f"{s:.1f}"))
    return Table.of("index", "All targets", tuple(shown), rows)


def as_markdown(index: Table, links: Mapping[str, str]) -> str:
    """`links` leads from a target to its report."""
    addresses = [_address(row, links) for row in index.rows]
    body = markdown_table(index, [f"[{{}}](<{link}>)" if link else "{}" for link in addresses])
    return f"# {HEADING}{len(index.rows)} targets\n\n{body}\n"


def as_html(index: Table, links: Mapping[str, str]) -> str:
    def special(number: int, name: str, cell: str) -> str:
        link = _address(index.rows[number], links)
        if name == "state":
            sign = _KINDS[index.rows[number][1]][1]
            return f'<span class="verdict"><span aria-hidden="true">{sign}</span> {escape(cell)}</span>'
        linked = name == "target" and link
        return f'<a href="{escape(link)}">{escape(printable(cell))}</a>' if linked else ""

    kinds = [f' class="{_KINDS[row[1]][0]}"' for row in index.rows]
    return document(f"{HEADING}{len(index.rows)} targets", enclosed(table_of(index, kinds, special)))


def as_csv(index: Table) -> str:
    """All columns, with a line of headings."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.name for column in index.columns])
    writer.writerows(["" if value is None else _safe(value) for value in row] for row in index.rows)
    return stream.getvalue()


_KINDS = {
    "wrong": ("introduced", "✗"),
    "right": ("correct", "✓"),
    "incomplete": ("unchecked", "?"),
    "failed": ("inherited", "!"),
}


def _row(outcome: Outcome, seconds: float | None, solution: Solution | None) -> _Row:
    if isinstance(outcome, FailedTarget):
        return _Row(outcome.target, "failed", worst=printable(outcome.error.message), seconds=seconds)
    summary, rows = outcome.summary, outcome.rows
    compared = solution.compared(outcome) if solution else {}
    state = "wrong" if outcome.exit_status else "right" if summary["checked"] else "incomplete"
    worst = min(outcome.findings, key=lambda f: list(Severity).index(f.severity), default=None)
    bad = summary[Verdict.INTRODUCED.value] + summary[Verdict.INHERITED.value]
    unchecked = summary[Verdict.UNCHECKED.value]
    return _Row(
        outcome.target, state, len(rows), len(rows) - bad - unchecked, bad, unchecked, _worst(worst, outcome.target),
        compared.get("score"), ", ".join(compared.get("missing", ())), seconds,
    )  # fmt: skip


def _worst(finding: Finding | None, target: str) -> str:
    """With its file only where that is another than the target's."""
    if finding is None:
        return ""
    at = finding.location
    own = PurePath(at.file).name in target
    return f"{finding.rule} at {where(at.cell, at.line) if own else describe(at)}"


def _address(row: tuple[Any, ...], links: Mapping[str, str]) -> str:
    """Of the report of a row; a target that failed has none."""
    target, state, *_ = row
    return "" if state == "failed" else quote(links.get(target, ""), errors="replace")


def _safe(value: object) -> object:
    """A spreadsheet would take a text that begins so for a formula."""
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )
