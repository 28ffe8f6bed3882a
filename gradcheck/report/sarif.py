"""The findings as SARIF 2.1.0, which code scanning and editors read.

The format: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", 2020.
"""

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from gradcheck.base.version import __version__
from gradcheck.checks.finding import Finding, Fix
from gradcheck.program.location import Location
from gradcheck.report.contents import FailedTarget, ReportContents
from gradcheck.report.layout import printable, printable_lines


def document(outcomes: Sequence[ReportContents | FailedTarget]) -> dict[str, Any]:
    """One run with the findings of all targets. A fix is offered only if replay proved it. A cell of a notebook is no
    region of its file: there the place is the file, and the cell is named in the message."""
    reports = [each for each in outcomes if isinstance(each, ReportContents)]
    failed = [each for each in outcomes if isinstance(each, FailedTarget)]
    found = [finding for report in reports for finding in report.findings]
    hidden = [each.finding for report in reports for each in report.suppressed]
    accepted = [finding for report in reports for finding in report.accepted]
    rules = {finding.rule: finding.name for finding in (*found, *hidden, *accepted)}
    numbers = {code: number for number, code in enumerate(sorted(rules))}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "gradcheck",
                        "version": __version__,
                        "rules": [{"id": code, "name": rules[code]} for code in sorted(rules)],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": not failed,
                        "toolExecutionNotifications": [_notification(each) for each in failed],
                    }
                ],
                "results": [
                    *(_result(finding, numbers) for finding in found),
                    *(
                        _result(finding, numbers) | {"suppressions": [{"kind": kind}]}
                        for kind, findings in (("inSource", hidden), ("external", accepted))
                        for finding in findings
                    ),
                ],
            }
        ],
    }


def _notification(failed: FailedTarget) -> dict[str, Any]:
    text = f"{failed.target}: {failed.error.message}"
    return {"level": "error", "message": {"text": printable(text)}}


def _result(finding: Finding, numbers: dict[str, int]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": numbers[finding.rule],
        "level": finding.severity.value,
        "message": {"text": "\n".join(_sentences(finding))},
        "locations": [{"physicalLocation": _place(finding.location)}],
    }
    if finding.fix is not None and finding.fix.verified and finding.fix.location.cell is None:
        result["fixes"] = [_fix(finding.fix)]
    return result


def _sentences(finding: Finding) -> Iterable[str]:
    cell = f"cell {finding.location.cell}, line {finding.location.line}: " if finding.location.cell else ""
    yield printable(f"{cell}{finding.message}")
    yield from (f"note: {printable(note)}" for note in finding.notes)
    yield from (f"help: {printable(advice)}" for advice in finding.helps)
    if finding.fix is not None and finding.fix.location.cell is not None:
        yield printable_lines(finding.fix.diff)


def _place(location: Location) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": _file(location)}
    if location.cell is None:
        place["region"] = _region(location)
    return place


def _file(location: Location) -> dict[str, str]:
    return {"uri": quote(PurePath(location.file).as_posix(), errors="replace")}


def _region(location: Location) -> dict[str, int]:
    return {
        "startLine": location.line,
        "startColumn": location.column,
        "endLine": location.end_line,
        "endColumn": location.end_column,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    replacement = {"deletedRegion": _region(fix.location), "insertedContent": {"text": fix.replacement}}
    return {
        "description": {"text": "proved by replay"},
        "artifactChanges": [{"artifactLocation": _file(fix.location), "replacements": [replacement]}],
    }
