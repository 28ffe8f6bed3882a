"""Findings that were there before: an earlier JSON report accepts them, and only new ones count."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

from gradcheck.checks.finding import Finding
from gradcheck.program.errors import ProgramError
from gradcheck.report.model import Report

# The lines themselves, not their numbers: those move with every line that is added above.
Key = tuple[str, str, tuple[str, ...]]
Baseline = Counter[Key]


def read(path: str) -> Baseline:
    """The findings of a report that `gradcheck report --format json` wrote, on one target or several. Raises ProgramError
    if the file is no such report."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        objects = data if isinstance(data, list) else [data]
        reports = [Report.from_dict(each) for each in objects if "error" not in each]
    except OSError as error:
        raise ProgramError(f"--baseline: `{path}` cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        raise ProgramError(
            f"--baseline: `{path}` is no JSON report of gradcheck",
            "`gradcheck report TARGET -o baseline.json` writes one",
        ) from None
    return Counter(_key(finding, report) for report in reports for finding in report.findings)


def without_known(report: Report, baseline: Baseline) -> Report:
    """The report in which the findings that the baseline holds are accepted, each as often as it holds it."""
    left: list[Finding] = []
    accepted: list[Finding] = []
    unused = baseline.copy()
    for finding in report.findings:
        key = _key(finding, report)
        (accepted if unused[key] > 0 else left).append(finding)
        unused[key] -= 1
    return replace(report, findings=left, accepted=accepted)


def _key(finding: Finding, report: Report) -> Key:
    place, excerpt = finding.location, report.excerpt(finding.location)
    lines = range(place.line, place.end_line + 1) if excerpt is not None else ()
    return finding.rule, place.file, tuple(excerpt.line(n).strip() for n in lines) if excerpt else ()
