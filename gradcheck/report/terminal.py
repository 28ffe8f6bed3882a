"""The report in a terminal: the summary first, then the table, then one excerpt per fault."""

import io
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from gradcheck.checks.finding import Severity
from gradcheck.report import isolation, sentences
from gradcheck.report.contents import ReportContents
from gradcheck.report.health.section import health_lines
from gradcheck.report.layout import UNCUT, paragraph, printable
from gradcheck.report.plain_table import plain_table, without
from gradcheck.report.snippet import render_finding, with_fixes_before
from gradcheck.report.table import STYLES, gradient_table, narrower

_WIDTH = 100  # of what an exception says


def render(report: ReportContents, console: Console, verbose: bool = False) -> None:
    """Print the report. Colour and width are the console's; nothing is coloured when it is no terminal. `verbose`: with
    each health rule that found nothing."""
    for block in _blocks(report, console.width, verbose):
        console.print(block, soft_wrap=True)  # the blocks are laid out already


def _blocks(report: ReportContents, width: int, verbose: bool) -> Iterator[Text]:
    yield paragraph(sentences.headline(report), width, "bold")
    yield from so_far(report, width)
    remarks = [*health_lines(report.checks, verbose), *sentences.program_remarks(report.program)]
    if remarks:
        yield from (paragraph(remark, width, "dim") for remark in remarks)
        yield Text()
    yield from (paragraph(sentence, width, "dim") for sentence in sentences.set_aside(report))
    yield paragraph(sentences.conclusion(report), width, "bold" if report.exit_status else "bold green")
    if fixes_line := sentences.fixes(report):
        yield paragraph(fixes_line, width, "bold green")


def so_far(report: ReportContents, width: int) -> Iterator[Text]:
    """The tables and the findings, of a report that may still be in the making."""
    for step in report.passes:
        yield paragraph(sentences.pass_line(step, len(report.passes)), width)
        if step.gradients:
            yield Text()
            styles = [STYLES[row.verdict] for row in step.gradients]
            yield plain_table(narrower(gradient_table(step.gradients)), width, styles)
        yield from (paragraph(remark, width, "dim") for remark in sentences.row_remarks(step))
        yield Text()
    for finding, shown in with_fixes_before(report.findings):
        yield render_finding(finding, report.excerpt(finding.location), width, shown)
        yield Text()


def render_headline(report: ReportContents, console: Console) -> None:
    """How many gradients are right, and what was found, in a line or two."""
    for sentence in (sentences.headline(report), sentences.conclusion(report)):
        console.print(paragraph(sentence, console.width), soft_wrap=True)


def render_isolation(report: ReportContents, console: Console) -> None:
    """The headline of the report, and the isolation alone: what else it found, `gradcheck report` shows."""
    for block in _isolation_blocks(report, console.width):
        console.print(block, soft_wrap=True)


def _isolation_blocks(report: ReportContents, width: int) -> Iterator[Text]:
    assert report.isolation is not None
    yield paragraph(sentences.headline(report), width, "bold")
    first, *others = isolation.sentences(report.isolation)
    yield paragraph(first, width, "bold")
    for table in isolation.tables(report.isolation, brief=True):
        yield Text()
        yield Text(table.title, "bold")
        yield plain_table(without(table, isolation.SPARE), width)
    yield Text()
    yield from (paragraph(sentence, width, "dim") for sentence in others)


def text(report: ReportContents) -> str:
    """The whole report as in a file."""
    stream = io.StringIO()
    render(report, Console(file=stream, width=UNCUT, color_system=None))
    return stream.getvalue().rstrip("\n")


def error_text(report: ReportContents) -> str:
    """The headline and every finding at error level, as the terminal shows them."""
    blocks = [printable(sentences.headline(report))]
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    for finding, shown in with_fixes_before(errors):
        text = render_finding(finding, report.excerpt(finding.location), _WIDTH, shown).plain
        blocks.append("\n".join(line.rstrip() for line in text.splitlines()))
    return "\n\n".join(blocks)
