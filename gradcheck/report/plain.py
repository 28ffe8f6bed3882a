"""A report, or its findings alone, as plain text: for `print` and for an exception, which are no place for colours."""

from __future__ import annotations

import io

from rich.console import Console

from gradcheck.checks.finding import Severity
from gradcheck.report import sentences, terminal
from gradcheck.report.contents import ReportContents
from gradcheck.report.layout import UNCUT, printable
from gradcheck.report.snippet import render_finding, with_fixes_before

_WIDTH = 100


def text(report: ReportContents) -> str:
    """The whole report as in a file."""
    stream = io.StringIO()
    terminal.render(report, Console(file=stream, width=UNCUT, color_system=None))
    return stream.getvalue().rstrip("\n")


def error_text(report: ReportContents) -> str:
    """The headline and every finding at error level, as the terminal shows them."""
    blocks = [printable(sentences.headline(report))]
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    for finding, shown in with_fixes_before(errors):
        text = render_finding(finding, report.excerpt(finding.location), _WIDTH, shown).plain
        blocks.append("\n".join(line.rstrip() for line in text.splitlines()))
    return "\n\n".join(blocks)
