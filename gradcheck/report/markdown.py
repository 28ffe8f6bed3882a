"""The report as a Markdown file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gradcheck.judge.verdict import PassResult
from gradcheck.report import isolation, sentences
from gradcheck.report.contents import ReportContents
from gradcheck.report.health.section import checks_table, health_checks, silent
from gradcheck.report.health.tables import health_tables
from gradcheck.report.layout import describe
from gradcheck.report.markup import escaped, fenced, markdown_table
from gradcheck.report.snippet import render_finding, with_fixes_before
from gradcheck.report.table import gradient_table

_WIDTH = 110
_NAMES = ("name", "of")


def render(
    report: ReportContents, images: Mapping[str, Sequence[Image]] | None = None, verbose: bool = False
) -> str:
    """The whole report, in the order of the terminal's. `images` are shown under the table they belong to. `verbose`:
    with each health rule that found nothing."""
    return "\n\n".join(_blocks(report, images or {}, verbose)) + "\n"


@dataclass(frozen=True, slots=True)
class Image:
    """`path` is relative to the Markdown file."""

    path: str
    alt: str


def _blocks(report: ReportContents, images: Mapping[str, Sequence[Image]], verbose: bool) -> Iterator[str]:
    yield f"# Gradient report: {escaped(report.target)}"
    yield escaped(sentences.headline(report)) + "."
    yield f"**{escaped(sentences.conclusion(report))}**"
    if fixes := sentences.fixes(report):
        yield escaped(fixes)
    yield from (escaped(sentence) + "." for sentence in sentences.set_aside(report))
    yield from _isolation(report, images)
    for step in report.passes:
        yield from _pass(step, len(report.passes))
    if report.findings:
        yield "## Findings"
        for finding, shown in with_fixes_before(report.findings):
            yield f"### {escaped(f'{finding.rule} {finding.name}: {describe(finding.location)}')}"
            yield fenced(render_finding(finding, report.excerpt(finding.location), _WIDTH, shown).plain)
    yield from _health(report, images, verbose)
    remarks = [_bullet(remark) for remark in sentences.program_remarks(report.program)]
    if remarks:
        yield "## The program"
        yield "\n".join(remarks)
    yield f"Written by gradcheck {report.version}."


def _pass(step: PassResult, of: int) -> Iterator[str]:
    yield f"## Pass {step.index + 1}" if of > 1 else "## Gradients"
    yield escaped(f"Against the {sentences.pass_line(step, 1)}.")
    if step.gradients:
        yield markdown_table(gradient_table(step.gradients), verbatim=_NAMES)
    remarks = [_bullet(remark) for remark in sentences.row_remarks(step)]
    if remarks:
        yield "\n".join(remarks)


def _health(report: ReportContents, images: Mapping[str, Sequence[Image]], verbose: bool) -> Iterator[str]:
    if not health_checks(report.checks):
        return
    yield "## Health"
    checks = checks_table(report.checks, verbose)
    if checks.rows:
        yield markdown_table(checks)
    if not verbose and (others := silent(report.checks)):
        yield escaped(others[0].upper() + others[1:]) + "."
    for table in health_tables(report.health):
        yield f"### {escaped(table.title)}"
        yield markdown_table(table)
        for image in images.get(table.name, ()):
            yield f"![{escaped(image.alt)}](<{image.path}>)"


def _isolation(report: ReportContents, images: Mapping[str, Sequence[Image]]) -> Iterator[str]:
    if report.isolation is None:
        return
    yield "## Isolation: what each fault costs"
    first, *others = map(escaped, isolation.sentences(report.isolation))
    yield f"**{first}**"
    for table in isolation.tables(report.isolation):
        yield f"### {escaped(table.title)}"
        yield markdown_table(table)
    for image in images.get("isolation", ()):
        yield f"![{escaped(image.alt)}](<{image.path}>)"
    yield "\n".join(f"- {sentence}" for sentence in others)


def _bullet(remark: str) -> str:
    return f"- {escaped(remark)}"
