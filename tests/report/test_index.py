"""Several targets in one table: a row for each, in every format, with the text of anybody as text."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from gradcheck.cli.output import Destination
from gradcheck.program.errors import ProgramError
from gradcheck.program.target import parse_target
from gradcheck.report import index
from gradcheck.report.contents import FailedTarget
from gradcheck.report.model import Report
from tests.report import samples
from tests.report.test_hostile import HOSTILE, _raw_html
from tests.report.test_page import Page

FAILED = FailedTarget("c.py", ProgramError("'(' was never closed"))


def named(target: str, report: Report) -> Report:
    report.target = target
    return report


def shown(*outcomes: Report | FailedTarget, solution: index.Solution | None = None) -> list[dict[str, str]]:
    headings, rows = index.table(outcomes, {"a.py": 1.25}, solution).shown()
    return [dict(zip(headings, row, strict=True)) for row in rows]


def test_the_worst_finding_is_placed_within_its_target() -> None:
    (row,) = shown(named("homework/day70.ipynb", samples.faulty()))
    assert row["worst finding"] == "GC101 at cell 2 line 6"
    page = index.as_html(index.table([named("a.py", samples.faulty()), FAILED]), {})
    assert re.findall(r'aria-hidden="true">(.)</span> (\w+)', page) == [("✗", "wrong"), ("!", "failed")]


def test_a_row_says_how_the_gradients_are() -> None:
    wrong, right, failed = shown(named("a.py", samples.faulty()), named("b.py", samples.clean()), FAILED)
    assert wrong == {
        "target": "a.py", "state": "wrong", "gradients": "6", "right": "2", "wrong": "3", "unchecked": "1",
        "worst finding": "GC101 at day70.ipynb [cell 2] line 6, column 10", "seconds": "1.2",
    }  # fmt: skip
    assert (right["state"], right["right"], right["wrong"], right["seconds"]) == ("right", "2", "0", "-")
    assert (failed["state"], failed["worst finding"]) == ("failed", "'(' was never closed")


def test_a_report_that_checked_nothing_is_not_right() -> None:
    (row,) = shown(samples.report())
    assert row["state"] == "incomplete"


def test_a_solution_names_what_is_missing() -> None:
    solution = index.Solution({"d_Z_2", "d_A_1", "d_C"})
    (row,) = shown(samples.faulty(), solution=solution)
    assert (row["score"], row["missing"]) == ("33.3 %", "d_C")
    assert index.Solution.of(samples.faulty()) == {"d_Z_2"}


def test_json_has_the_score(tmp_path: Path) -> None:
    file, programs = tmp_path / "scores.json", [tmp_path / "a.py", tmp_path / "c.py"]
    for program in programs:
        program.touch()
    to = Destination("json", str(file), False, tuple(parse_target(str(program)) for program in programs))
    to.write_all([samples.faulty(), FAILED], solution=index.Solution({"d_Z_2", "d_A_1", "d_C"}))
    scored, failed = json.loads(file.read_text())
    assert (round(scored["score"], 3), scored["missing"]) == (0.333, ["d_C"])
    assert "score" not in failed


def test_a_spreadsheet_reads_it_and_runs_nothing() -> None:
    text = index.as_csv(index.table([named("=1+1", samples.faulty()), FAILED]))
    first, second, third = csv.reader(io.StringIO(text))
    assert first[:3] == ["target", "state", "gradients"]
    assert second[0] == "'=1+1"
    assert third[:3] == ["c.py", "failed", ""]


def test_only_what_has_a_report_is_a_link() -> None:
    every = index.table([named("a.py", samples.faulty()), FAILED])
    links = {"a.py": "a.html", "c.py": "c.html"}
    assert Page(index.as_html(every, links)).all("href") == ["a.html"]
    assert "c.html" not in index.as_markdown(every, links)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    every = index.table([named(text, samples.faulty()), FailedTarget(text, ProgramError(text))])
    links = {text: f"{text}.html"}
    found = Page(index.as_html(every, links))
    assert {"script", "img", "b"}.isdisjoint(found.tags)
    assert _raw_html(index.as_markdown(every, links)) == []
