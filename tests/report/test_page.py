"""The page: one file that fetches and runs nothing, whose links lead somewhere, and in which the eye finds the first fault."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from gradcheck.base.codec import encode
from gradcheck.judge.verdict import PassResult
from gradcheck.report.figures.drawing import Picture
from gradcheck.report.html import chain, page
from gradcheck.report.model import Report
from tests.report import samples
from tests.report.test_hostile import HOSTILE, _poisoned

_VOID = {"meta", "img"}
_DRAWN = {"svg", "g", "path", "rect", "polygon", "text", "title", "a"}
_PLAIN = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "div", "p", "span", "code", "pre", "details", "summary",
    "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "footer", "img", "a",
}  # fmt: skip


class Page(HTMLParser):
    """Every element, which must be closed in its order; and every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.shown = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.shown += data

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.attributes if each == name]


each_report = pytest.mark.parametrize(
    "make", [samples.faulty, samples.clean, samples.fixed, samples.several_passes, samples.report]
)


@each_report
def test_it_is_one_document_that_fetches_and_runs_nothing(make) -> None:
    text = page.render(make())
    found = Page(text)
    assert text.startswith("<!doctype html>\n")
    assert set(found.tags) <= _PLAIN | _DRAWN
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert all(source.startswith("data:") for source in found.all("src"))
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text


@each_report
def test_every_link_leads_to_a_row_of_the_table(make) -> None:
    report = make()
    found = Page(page.render(report))
    names = found.all("id")
    assert len(names) == len(set(names)) == len(report.rows)
    links = found.all("href")
    assert {link.removeprefix("#") for link in links} <= set(names)
    drawn = [row for step in report.passes if len(step.gradients) > 1 for row in step.gradients]
    assert len(links) >= len(drawn)


def test_the_lines_have_a_mark_for_each_of_their_gradients() -> None:
    text = page.render(samples.faulty())
    lines = dict(re.findall(r'<span class="number"> +(\d+)</span> ([^\n]*)\n', text))
    assert lines["6"] == "    d_A_1 = d_Z_2 @ W_2.T  # noqa: E501"
    marked = {
        number: kind
        for kind, number in re.findall(
            r'<span class="line (\w+)"><span class="margin">.*?<span class="number"> +(\d+)<', text
        )
    }
    assert marked == {
        "3": "correct",
        "4": "unobservable",
        "6": "introduced",
        "7": "introduced",
        "11": "inherited",
        "12": "unchecked",
    }


def drawn(step: PassResult) -> str:
    return chain.drawing(samples.report(step), step)


def test_a_fault_is_marked_at_the_line_to_edit() -> None:
    """Where that is another one than the gradient's, which only passes the error on; the drawing names it too."""
    report = samples.faulty()
    (finding,) = [each for each in report.findings if each.evidence.get("gradient") == "d_A_1"]
    (row,) = [row for row in report.rows if row.name == "d_A_1"]
    finding.evidence |= {"gradients": ["d_A_1"], "gradient_line": encode(row.location)}
    finding.location = samples.at(3, 1, 5)
    text = page.render(report)
    marks = re.findall(
        r'<span class="line (\w+)"><span class="margin">.*?<span class="number"> +(\d+)<', text
    )
    kinds = {number: kind for kind, number in marks}
    assert (kinds["3"], kinds["6"]) == ("introduced", "inherited")
    assert "of A_1, 2:3</text>" in text


def test_the_drawing_puts_each_gradient_below_what_it_is_computed_from() -> None:
    first = samples.correct("d_Z_2", "Z_2", 3)
    second = samples.wrong("d_A_1", "A_1", samples.at(6, 10, 23), upstream=["d_Z_2"])
    third = samples.inherited("d_W_1", "W_1", 11, "d_A_1")
    third.upstream = ["d_A_1"]
    text = drawn(samples.one_pass(first, second, third))
    heights = [float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)">', text)]
    assert len(heights) == 4
    assert heights == sorted(set(heights))
    assert "what is wrong begins at d_A_1." in text
    assert re.findall(r'class="node (\w+)"', text) == [
        "loss",
        "correct",
        "introduced",
        "inherited",
    ]
    assert 'href="#' not in text


def test_nothing_in_a_row_of_the_drawing_lies_on_another() -> None:
    rows = [samples.correct(f"d_W_{n}" * (1 + n % 3), f"W_{n}", 3) for n in range(40)]
    text = drawn(samples.one_pass(*rows))
    boxes = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', text)
    assert len(boxes) == 41
    placed = sorted((float(y), float(x), float(w)) for x, y, w in boxes)
    for (y, x, w), (next_y, next_x, _) in pairwise(placed):
        assert next_y > y or next_x >= x + w


@pytest.mark.parametrize("count", [1, 1000])
def test_what_no_eye_can_follow_is_not_drawn(count: int) -> None:
    rows = [samples.correct(f"d{n}", f"x{n}", 3) for n in range(count)]
    assert drawn(samples.one_pass(*rows)) == ""


def test_figures_are_in_the_page_itself() -> None:
    picture = Picture("curves", "isolation", 'Of "x" & <y>', b"\x89PNG")
    report = samples.clean()
    assert "img" not in Page(page.render(report, [picture])).tags  # of a table that the report has not


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("make", [samples.faulty, samples.fixed])
def test_hostile_text_stays_text(make, text: str) -> None:
    report: Report = _poisoned(make(), text)
    for row in report.rows:
        row.upstream = [row.name]
    rendered = page.render(report)
    found = Page(rendered)
    assert set(found.tags) <= _PLAIN | _DRAWN
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert not any(bad in rendered for bad in ("\x1b", "\x07", "\u202e", "\u2066", "\u2028"))
