"""The findings of a report as plain text: for an exception, which is no place for colours."""

from __future__ import annotations

from gradcheck.checks.finding import Fix, Severity
from gradcheck.report import sentences
from gradcheck.report.contents import ReportContents
from gradcheck.report.snippet import render_finding

_WIDTH = 100


def error_text(report: ReportContents) -> str:
    """The headline and every finding at error level, as the terminal shows them."""
    blocks = [sentences.headline(report)]
    shown: list[Fix] = []
    for finding in report.findings:
        if finding.severity is Severity.ERROR:
            text = render_finding(finding, report.excerpt(finding.location), _WIDTH, shown).plain
            blocks.append("\n".join(line.rstrip() for line in text.splitlines()))
            shown += [finding.fix] if finding.fix else []
    return "\n\n".join(blocks)
