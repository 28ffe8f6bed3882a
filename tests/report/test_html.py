"""The HTML report holds all it needs, escapes what is the person's, and says nothing by colour alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from gradcheck.report.html import element as html
from gradcheck.report.html.style import COLOURS, STYLE
from tests.report import samples

VOID = {"br", "img", "meta"}
each_report = pytest.mark.parametrize(
    "report",
    [samples.faulty(), samples.clean(), samples.fixed(), samples.several_passes(), samples.report()],
    ids=["faulty", "clean", "fixed", "several passes", "empty"],
)


class Elements(HTMLParser):
    """Fails on tags that are not closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            assert name not in ("src", "href", "onclick", "style", "id"), f"{name}={value}"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def test_a_verdict_that_cannot_be_guessed_is_explained() -> None:
    assert "inherited: this line is right, and what it reads is not" in html.render(samples.faulty())
    assert "inherited" not in html.render(samples.clean()).partition("</style>")[2]


@each_report
def test_it_is_one_well_formed_element_that_fetches_nothing(report):
    text = html.render(report)
    found = Elements(text)
    assert found.seen[0] == "div"
    assert not {"script", "link", "img", "iframe"} & set(found.seen)
    assert "url(" not in text
    assert "@import" not in text


@each_report
def test_every_verdict_and_finding_is_in_its_text(report):
    text = Elements(html.render(report)).text
    signs = {"correct": "✓", "introduced": "✗", "inherited": "↓", "compensated": "⇄"}
    for row in report.rows:
        sign = signs.get(row.verdict.value, "")
        assert f"{sign} {row.verdict.value}" in text
        assert row.name in text
    for finding in report.findings:
        assert f"[{finding.rule}]" in text


def test_the_excerpt_keeps_its_caret_under_its_line():
    text = Elements(html.render(samples.faulty())).text
    lines = text.splitlines()
    source = next(n for n, line in enumerate(lines) if re.search(r" 6 \| +d_A_1 = d_Z_2 @ W_2.T", line))
    caret = lines[source + 1]
    assert lines[source][caret.index("^") :].startswith("d_Z_2 @ W_2.T")


def test_what_the_person_wrote_is_no_markup():
    row = samples.correct("d['<b>&']", "<script>alert(1)</script>", 3)
    text = html.render(samples.report(samples.one_pass(row), target="<img src=x>.py"))
    assert "script" not in Elements(text).seen
    assert "img" not in Elements(text).seen
    assert "&lt;script&gt;" in text


def test_the_style_keeps_to_the_report():
    rules = re.sub(r"@media[^{]*\{", "", STYLE)
    for selectors in re.findall(r"([^{}]+)\{[^{}]*\}", rules):
        for selector in selectors.split(","):
            assert ".gradcheck-report" in selector, selector


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "code"])
@pytest.mark.parametrize("ink", ["ink", "faint", "right", "wrong", "heir", "pair"])
def test_every_colour_can_be_read_on_its_ground(theme, ground, ink):
    low, high = sorted(luminance(COLOURS[theme][name]) for name in (ground, ink))
    assert (high + 0.05) / (low + 0.05) >= 4.5
