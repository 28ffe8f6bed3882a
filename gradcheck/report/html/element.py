"""The report as one element of HTML, which holds its own style and fetches nothing: what a notebook shows.

Colours are those of Okabe and Ito, which colour-blind readers can distinguish, always with a sign and a word: nothing
is said by colour alone.
"""

import base64
from collections.abc import Collection, Iterable, Iterator
from html import escape

from rich.console import Console
from rich.style import Style
from rich.text import Text

from gradcheck.checks.finding import Finding, Fix
from gradcheck.judge.verdict import PassResult
from gradcheck.report import isolation, sentences
from gradcheck.report.contents import Excerpt, ReportContents
from gradcheck.report.figures.drawing import Picture
from gradcheck.report.health.section import checks_table
from gradcheck.report.health.tables import health_tables
from gradcheck.report.html import chain, source
from gradcheck.report.html.style import STYLE
from gradcheck.report.html.tables import prose, table_of
from gradcheck.report.layout import UNCUT, describe
from gradcheck.report.snippet import margin_of, remarks, shown_fix, source_lines, with_fixes_before
from gradcheck.report.table import SIGNS, gradient_table
from gradcheck.report.tables import Table

_CODE = {"name", "of"}


def render(
    report: ReportContents, pictures: Iterable[Picture] = (), hints: Iterable[str] = (), alone: bool = False
) -> str:
    """The whole report, in the order of the terminal's. `pictures` are shown below their tables, `hints` on
    what to do next below the conclusion. `alone`: on a page of its own, where links between its parts mean nothing else, and
    all of it is open."""
    return enclosed(_blocks(report, list(pictures), hints, alone))


def notice(text: str) -> str:
    """Why there is no report."""
    first, *more = text.split("\n")
    sign = '<span aria-hidden="true">?</span>'
    blocks = [f'<p class="conclusion unknown">{sign} {prose(first)}</p>\n']
    if more:
        blocks.append("<pre>" + "\n".join(map(escape, more)) + "</pre>\n")
    return enclosed(blocks)


def listings(texts: Iterable[Text], remarks: Iterable[str]) -> str:
    """Coloured pieces of source, and remarks about them."""
    return enclosed([*(_code([text]) for text in texts), _list(remarks)])


def enclosed(blocks: Iterable[str]) -> str:
    """As one element with its style."""
    return f'<div class="gradcheck-report">\n<style>{STYLE}</style>\n{"".join(blocks)}</div>\n'


def _blocks(
    report: ReportContents, pictures: list[Picture], hints: Iterable[str], alone: bool
) -> Iterator[str]:
    state = "bad" if report.exit_status else "good"
    sign = "✗" if report.exit_status else "✓"
    if not report.summary["checked"]:
        state, sign = "unknown", "?"
    yield f'<p class="headline">{prose(sentences.headline(report))}</p>\n'
    yield f'<p class="conclusion {state}"><span aria-hidden="true">{sign}</span> '
    yield f"{prose(sentences.conclusion(report))} {prose(sentences.fixes(report))}</p>\n"
    yield from (f"<p>{prose(hint)}</p>\n" for hint in hints)
    yield from _isolation(report, pictures, alone)
    for step in report.passes:
        yield from _pass(report, step, _anchor(step) if alone else "")
    yield from _source(report, alone)
    for finding, shown in with_fixes_before(report.findings):
        yield from _finding(finding, report.excerpt(finding.location), shown)
    yield from _tables(
        "Health", [checks_table(report.checks), *health_tables(report.health)], pictures, alone
    )
    yield _list([*sentences.program_remarks(report.program), *sentences.set_aside(report)])


def _finding(finding: Finding, excerpt: Excerpt | None, shown: Collection[Fix]) -> Iterator[str]:
    """Its sentences are wrapped by the browser, its lines of code never."""
    kind, margin = finding.severity.value, margin_of(finding, shown)
    yield f'<div class="finding {kind}">\n<p class="message"><span class="rule">{kind}[{finding.rule}]</span>: '
    yield f'{prose(finding.message)}</p>\n<p class="file">{escape(describe(finding.location))}</p>\n'
    if excerpt is not None:
        yield _code(source_lines(finding, excerpt, margin, UNCUT, ""))
    if finding.label:
        yield f'<p class="rule">{prose(finding.label)}</p>\n'
    for lead, text in remarks(finding, shown):
        yield f'<p class="remark"><span class="strong">{lead}</span>: {prose(text)}</p>\n'
    yield _code(shown_fix(finding, margin, UNCUT, shown))
    yield "</div>\n"


def _code(lines: Iterable[Text]) -> str:
    text = Text("\n").join(lines)
    return f"<pre>{_coloured(text)}</pre>\n" if text else ""


def _isolation(report: ReportContents, pictures: list[Picture], alone: bool) -> Iterator[str]:
    if report.isolation is None:
        return
    first, *others = isolation.sentences(report.isolation)
    yield f'<p class="headline">{prose(first)}</p>\n'
    yield from _tables("What each fault costs", isolation.tables(report.isolation), pictures, alone)
    yield from (_image(picture) for picture in pictures if picture.table == "isolation")
    yield _list(others)


def _anchor(step: PassResult) -> str:
    return f"pass-{step.index + 1}-gradient-"


def _source(report: ReportContents, alone: bool) -> Iterator[str]:
    anchors = {
        id(row): f"{_anchor(step)}{number}"
        for step in report.passes
        for number, row in enumerate(step.gradients)
        if alone
    }
    if blocks := list(source.listings(report, anchors)):
        yield from (_folded("The lines that compute the gradients", alone), *blocks, "</details>\n")


def _folded(title: str, opened: bool) -> str:
    return f"<details{' open' if opened else ''}><summary>{escape(title)}</summary>\n"


def _pass(report: ReportContents, step: PassResult, anchor: str) -> Iterator[str]:
    yield f"<p>{prose(sentences.pass_line(step, len(report.passes)))}</p>\n"
    if drawn := chain.drawing(report, step, anchor):
        yield f'{_folded("The backward pass", bool(anchor))}<div class="scroll">{drawn}</div></details>\n'
    if step.gradients:
        rows = step.gradients
        attributes = [
            (f' id="{anchor}{number}"' if anchor else "") + f' class="{row.verdict.value}"'
            for number, row in enumerate(rows)
        ]

        def special(number: int, name: str, cell: str) -> str:
            if name == "verdict":
                sign = f'<span aria-hidden="true">{SIGNS[rows[number].verdict]}</span>'
                return f'<span class="verdict">{sign} {escape(cell)}</span>'
            return f"<code>{escape(cell)}</code>" if name in _CODE else escape(cell)

        yield from table_of(gradient_table(rows), attributes, special)
    yield _list([*sentences.meanings(step), *sentences.row_remarks(step)])


def _tables(title: str, tables: list[Table], pictures: list[Picture], opened: bool) -> Iterator[str]:
    filled = [table for table in tables if table.rows]
    if not filled:
        return
    yield _folded(title, opened)
    for table in filled:
        if table.title != title:
            yield f"<p>{prose(table.title)}</p>"
        yield from table_of(table)
        yield from (_image(picture) for picture in pictures if picture.table == table.name)
    yield "</details>\n"


def _image(picture: Picture) -> str:
    """In the page itself: a notebook is one file, and an output of it fetches nothing."""
    data = base64.b64encode(picture.png).decode("ascii")
    kept = "" if picture.reversible else ' class="as-drawn"'
    return f'<img{kept} src="data:image/png;base64,{data}" alt="{escape(picture.alt)}">\n'


def _list(remarks: Iterable[str]) -> str:
    items = "".join(f"<li>{prose(remark)}</li>" for remark in remarks)
    return f"<ul>{items}</ul>\n" if items else ""


def _coloured(text: Text) -> str:
    console = Console(width=1000, color_system="standard", legacy_windows=False)
    out = []
    for segment in text.render(console):
        classes = _classes(segment.style)
        shown = escape(segment.text)
        out.append(f'<span class="{classes}">{shown}</span>' if classes and shown.strip() else shown)
    return "".join(out)


def _classes(style: Style | None) -> str:
    if style is None:
        return ""
    names = ["strong"] if style.bold else []
    if style.underline:
        names.append("changed")
    if style.color is not None:
        names.append(style.color.name)
    return " ".join(names)
