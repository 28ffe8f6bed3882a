"""The person's own lines, with a mark in the margin at each gradient."""

from collections.abc import Iterator, Mapping
from html import escape
from textwrap import dedent

from gradcheck.judge.verdict import GradientResult, Verdict
from gradcheck.program.location import Location
from gradcheck.report import sentences
from gradcheck.report.contents import Excerpt, ReportContents
from gradcheck.report.layout import printable
from gradcheck.report.table import SIGNS

# The gravest colours the line.
_GRAVEST = (*sentences.WRONG, Verdict.UNCHECKED, Verdict.UNOBSERVABLE, Verdict.CORRECT)
_Mark = tuple[GradientResult, Verdict, str]  # the verdict on the line, and where it links to
_Places = dict[tuple[str, int | None, int], list[_Mark]]


def listings(report: ReportContents, anchors: Mapping[int, str]) -> Iterator[str]:
    """One block for each stretch of the source that computes gradients. `anchors`: by the `id()` of a row, where its
    mark links to."""
    marked: _Places = {}
    stretches: dict[Excerpt, None] = {}
    for row in report.rows:
        on_lines: dict[tuple[str, int | None, int], tuple[Location, Verdict]] = {}  # often the same line
        for place, verdict in ((row.location, Verdict.INHERITED), (report.place_to_edit(row), row.verdict)):
            on_lines[place.file, place.cell, place.line] = place, verdict
        for line, (place, verdict) in on_lines.items():
            marked.setdefault(line, []).append((row, verdict, anchors.get(id(row), "")))
            covering = [excerpt for excerpt in report.excerpts if excerpt.covers(place)]
            if covering:
                stretches[max(covering, key=lambda excerpt: len(excerpt.lines))] = None
    for excerpt in stretches:
        cell = "" if excerpt.cell is None else f", cell {excerpt.cell}"
        yield f'<p class="file">{escape(printable(excerpt.file))}{cell}</p>\n'
        yield '<pre class="source">'
        yield from _lines(excerpt, marked)
        yield "</pre>\n"


def _lines(excerpt: Excerpt, marked: _Places) -> Iterator[str]:
    lines = dict(enumerate(dedent("\n".join(excerpt.lines)).split("\n"), excerpt.first_line))
    marks = {number: marked.get((excerpt.file, excerpt.cell, number), []) for number in lines}
    margin = min(max(map(len, marks.values())), 3)
    for number, line in lines.items():
        rows = marks[number]
        kind = next((v.value for v in _GRAVEST if any(verdict is v for _, verdict, _ in rows)), "")
        signs = "".join(_mark(*mark) for mark in rows[:margin]) + " " * (margin - len(rows))
        yield (
            f'<span class="line {kind}"><span class="margin">{signs}</span>'
            f'<span class="number">{number:>5}</span> {escape(printable(line.rstrip()))}\n</span>'
        )


def _mark(row: GradientResult, verdict: Verdict, link: str) -> str:
    said = f'title="{escape(sentences.gradient(row))}"'
    sign = SIGNS[verdict]
    return f'<a href="#{link}" {said}>{sign}</a>' if link else f"<span {said}>{sign}</span>"
