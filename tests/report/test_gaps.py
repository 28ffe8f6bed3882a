"""What was not established is in the first line, and fails where that is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradcheck.judge.step.records import Movement, ParameterUpdate, StepFlow
from gradcheck.judge.verdict import GradientResult, PassResult, Verdict
from gradcheck.program.location import Location
from gradcheck.report import sentences
from gradcheck.report.model import Report
from gradcheck.report.program_section import CellError, ProgramSection
from gradcheck.report.sentences import gaps


def made(verdict: Verdict = Verdict.CORRECT, cell: int | None = None) -> Report:
    place = Location("a.py", cell, 3, 3, 1, 2)
    row = GradientResult("dW", "W", place, verdict, reason="because")
    return Report("a.py", [PassResult(0, "loss", 1.0, place, [row])])


def test_a_report_on_all_of_it_has_none() -> None:
    assert gaps(made()) == []
    assert "incomplete" not in sentences.headline(made())
    assert made().to_dict()["incomplete"] == []


def test_nothing_checked_is_a_gap() -> None:
    assert gaps(made(Verdict.UNCHECKED)) == ["no gradient could be checked"]


@pytest.mark.parametrize(
    ("cell", "error_cell", "is_gap"), [(None, None, True), (3, 3, True), (3, 4, False), (3, None, False)]
)
def test_an_exception_where_gradients_are_computed_is_a_gap(
    cell: int | None, error_cell: int | None, is_gap: bool
) -> None:
    report = made(cell=cell)
    report.program.errors.append(CellError(error_cell, 7, "ValueError: x: y"))
    assert (gaps(report) != []) is is_gap
    if is_gap:
        assert sentences.headline(report).endswith("line 7 raised ValueError")
        assert "No fault in the 1 gradient that could be checked, but the report is incomplete:" in (
            sentences.conclusion(report)
        )


def test_the_time_limit_is_a_gap() -> None:
    report = made()
    report.program = ProgramSection(ended="timeout")
    assert sentences.headline(report) == (
        "a.py: 1 gradient: 1 correct; incomplete: the program was stopped before its end"
    )


def test_a_parameter_that_moves_by_nothing_that_was_found_is_a_gap() -> None:
    report = made()
    unseen = ParameterUpdate("b", Movement.UNCHECKED, None, None, None, unseen=True)
    report.passes[0].flow = StepFlow(updates=[unseen, replace(unseen, parameter="c", unseen=False)])
    assert gaps(report) == ["no gradient of `b` was found, though the program moves it"]
    assert Report.from_dict(report.to_dict()).to_dict()["incomplete"] == gaps(report)
