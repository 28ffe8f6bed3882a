"""The Markdown report, to the letter."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from gradcheck.report import markdown
from gradcheck.report.model import Report
from tests.report import samples


@pytest.mark.parametrize(
    "report",
    [samples.faulty(), samples.clean(), samples.fixed(), samples.several_passes(), samples.report()],
    ids=["faulty", "clean", "fixed", "several passes", "empty"],
)
def test_markdown(snapshot: SnapshotAssertion, report: Report) -> None:
    assert markdown.render(report) == snapshot


def test_names_do_not_break_the_table() -> None:
    row = samples.correct("grads['a|b']", "w*_x", 3)
    text = markdown.render(samples.report(samples.one_pass(row)))
    line = next(line for line in text.splitlines() if "grads[" in line)
    assert line.count("|") == 9
    assert "`w*_x`" in line


def test_backticks_in_the_source_do_not_close_the_code_block() -> None:
    report = samples.faulty()
    report.findings[0].notes.append("````")
    text = markdown.render(report)
    assert "`````text" in text


def test_suppressed_by_comments() -> None:
    text = markdown.render(samples.with_suppressed())
    assert (
        "\n\n2 findings are suppressed by comments: GC101 at cell 2 line 6 and GC101 at layers.py line 3.\n\n"
        in text
    )
