"""What `print` and `repr` show of a report, and that nothing is cut where there is room."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from gradcheck.report import sentences, terminal
from gradcheck.report.layout import UNCUT
from gradcheck.report.model import Report
from tests.report import samples


def shown(report: Report, width: int) -> str:
    stream = io.StringIO()
    terminal.render(report, Console(file=stream, width=width))
    return stream.getvalue()


def test_printed_it_is_the_whole_report_and_its_repr_is_a_line() -> None:
    report = samples.faulty()
    assert repr(report) == f"<Report {sentences.headline(report)}>"
    assert "\n" not in repr(report)
    text = str(report)
    assert text.startswith(sentences.headline(report)[:40])
    for finding in report.findings:
        assert finding.message in text or finding.message[:40] in text
    assert "\x1b" not in text
    assert report.to_html().startswith("<!doctype html>\n")


def test_in_a_file_nothing_is_left_out_and_sentences_are_still_wrapped() -> None:
    report = samples.faulty()
    long = "x = " + " + ".join(f"value_{i}" for i in range(60))
    report.excerpts[0] = replace(report.excerpts[0], lines=(long, *report.excerpts[0].lines[1:]))
    narrow, file = shown(report, 60), shown(report, UNCUT)
    assert "(no room for: " in narrow
    assert "(no room for: " not in file
    assert long in file
    assert max(len(line) for line in file.splitlines() if line.startswith("    = ")) <= 110
