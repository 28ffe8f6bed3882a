"""One row for each of several targets: how its gradients are, the worst finding, how long it took."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

from tabulate import tabulate

from gradcheck.base.ours import HEADING
from gradcheck.checks.finding import Finding, Severity
from gradcheck.judge.verdict import Verdict
from gradcheck.report.contents import ReportContents
from gradcheck.report.failed import FailedTarget
from gradcheck.report.html.element import enclosed
from gradcheck.report.html.page import document
from gradcheck.report.layout import describe, printable
from gradcheck.report.markup import escaped
from gradcheck.report.tables import Column, Table, percent

Outcome = ReportContents | FailedTarget
SPARE = ("unchecked", "seconds", "gradients", "state")  # what a narrow terminal can do without
_SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True, slots=True)
class Solution:
    """The gradients that a right program has: what is missing in another is named."""

    names: frozenset[str]

    @classmethod
    def of(cls, report: ReportContents) -> Solution:
        return cls(frozenset(row.name for row in report.rows if row.verdict is Verdict.CORRECT))


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
    columns = [
        Column("target", "target"),
        Column("state", "state"),
        Column("gradients", "gradients"),
        Column("right", "right"),
        Column("wrong", "wrong"),
        Column("unchecked", "unchecked"),
        Column("worst", "worst finding", shown=lambda text: text or "-"),
    ]
    if solution is not None:
        columns.append(Column("score", "score", shown=percent))
        columns.append(Column("missing", "missing", shown=lambda text: text or "-"))
    if seconds:
        columns.append(Column("seconds", "seconds", shown=lambda s: "-" if s is None else f"{s:.1f}"))
    return Table.of("index", "All targets", tuple(columns), rows)


def as_markdown(index: Table, links: Mapping[str, str]) -> str:
    """`links` leads from a target to its report."""
    headings, rows = index.shown()
    cells = [[escaped(cell) for cell in row] for row in rows]
    for row, shown in zip(index.rows, cells, strict=True):
        if link := _link(row, links):
            shown[0] = f"[{shown[0]}](<{_address(link)}>)"
    body = tabulate(cells, [escaped(heading) for heading in headings], tablefmt="pipe", disable_numparse=True)
    return f"# {HEADING}{len(rows)} targets\n\n{body}\n"


def as_html(index: Table, links: Mapping[str, str]) -> str:
    headings, rows = index.shown()
    lines = ['<div class="scroll"><table><thead><tr>']
    lines += [f'<th scope="col" class="left">{escape(heading)}</th>' for heading in headings]
    lines.append("</tr></thead><tbody>\n")
    for values, cells in zip(index.rows, rows, strict=True):
        first, *others = map(_cell, cells)
        link = _link(values, links)
        named = f'<a href="{escape(_address(link))}">{first}</a>' if link else first
        lines.append(f'<tr class="{_KINDS[values[1]]}"><td class="left">{named}</td>')
        lines += [f'<td class="left">{cell}</td>' for cell in others]
        lines.append("</tr>\n")
    lines.append("</tbody></table></div>\n")
    return document(f"{HEADING}{len(rows)} targets", enclosed(lines))


def as_csv(index: Table) -> str:
    """All columns, with a line of headings."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.name for column in index.columns])
    writer.writerows(["" if value is None else _safe(value) for value in row] for row in index.rows)
    return stream.getvalue()


_KINDS = {"wrong": "introduced", "right": "correct", "incomplete": "unchecked", "failed": "inherited"}


def _row(outcome: Outcome, seconds: float | None, solution: Solution | None) -> _Row:
    if isinstance(outcome, FailedTarget):
        return _Row(outcome.target, "failed", worst=printable(outcome.error.message), seconds=seconds)
    summary, rows = outcome.summary, outcome.rows
    wrong = {row.name for row in rows if row.verdict in (Verdict.INTRODUCED, Verdict.INHERITED)}
    right = {row.name for row in rows} - wrong - {r.name for r in rows if r.verdict is Verdict.UNCHECKED}
    score, missing = None, ""
    if solution is not None:
        score = len(solution.names & right) / len(solution.names) if solution.names else None
        missing = ", ".join(sorted(solution.names - {row.name for row in rows}))
    state = "wrong" if outcome.exit_status else "right" if summary["checked"] else "incomplete"
    worst = min(outcome.findings, key=lambda f: _SEVERITIES.index(f.severity), default=None)
    counts = Counter(row.verdict for row in rows)
    bad = counts[Verdict.INTRODUCED] + counts[Verdict.INHERITED]
    unchecked = counts[Verdict.UNCHECKED]
    return _Row(
        outcome.target,
        state,
        len(rows),
        len(rows) - bad - unchecked,
        bad,
        unchecked,
        _worst(worst),
        score,
        missing,
        seconds,
    )


def _worst(finding: Finding | None) -> str:
    return "" if finding is None else f"{finding.rule} at {describe(finding.location)}"


def _cell(text: str) -> str:
    return escape(printable(text))


def _link(row: tuple[Any, ...], links: Mapping[str, str]) -> str:
    """Where the report of a row is; of a target that failed there is none."""
    target, state, *_ = row
    return "" if state == "failed" else links.get(target, "")


def _address(path: str) -> str:
    return quote(path, errors="replace")


def _safe(value: object) -> object:
    """A spreadsheet would take a text that begins so for a formula."""
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )
