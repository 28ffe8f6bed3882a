"""The exact text a person reads in a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.report import terminal
from gradcheck.report.model import Report
from tests.report import samples


def shown(report: Report, width: int = 80, **options: object) -> str:
    stream = io.StringIO()
    terminal.render(report, Console(file=stream, width=width, **options))  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 130])
def test_faulty_program(snapshot: SnapshotAssertion, width: int) -> None:
    assert shown(samples.faulty(), width) == snapshot


@pytest.mark.parametrize("width", [80, 120])
def test_fixes(snapshot: SnapshotAssertion, width: int) -> None:
    assert shown(samples.fixed(), width) == snapshot


def test_the_change_of_a_fix_is_coloured() -> None:
    text = shown(samples.fixed(), force_terminal=True, color_system="standard")
    assert "\x1b[31m* (1 - A_1)\x1b[0m" not in text
    assert "\x1b[1;4;32m**2\x1b[0m" in text


def test_right_program(snapshot: SnapshotAssertion) -> None:
    assert shown(samples.clean()) == snapshot


def test_suppressed_by_comments(snapshot: SnapshotAssertion) -> None:
    report = samples.with_suppressed()
    assert shown(report, 100) == snapshot
    assert "\x1b[2m2 findings are suppressed" in shown(report, force_terminal=True, color_system="standard")
    report.suppressed = report.suppressed[:1]
    assert "\n1 finding is suppressed by comments: GC101 at cell 2 line 6\n" in shown(report)
    report.suppressed = report.suppressed * 9
    assert "9 findings are suppressed by comments: GC101 at" in shown(report, 130)
    assert "and 6 more\n" in shown(report, 130)


def test_every_rule(snapshot: SnapshotAssertion) -> None:
    assert shown(samples.every_problem(), 100) == snapshot


def test_one_line_wrong_in_several_passes_and_layers(snapshot: SnapshotAssertion) -> None:
    assert shown(samples.several_passes(), 100) == snapshot


@pytest.mark.parametrize(
    "report", [samples.faulty(), samples.clean(), samples.every_problem(), samples.fixed()]
)
@pytest.mark.parametrize("width", [80, 100, 130])
def test_nothing_is_wider_than_the_console(report: Report, width: int) -> None:
    too_wide = [line for line in shown(report, width).splitlines() if len(line) > width]
    assert too_wide == []


def test_no_trailing_space() -> None:
    assert [line for line in shown(samples.faulty()).splitlines() if line != line.rstrip()] == []


def test_colour_only_in_a_terminal() -> None:
    plain = shown(samples.faulty())
    coloured = shown(samples.faulty(), force_terminal=True, color_system="standard")
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured


def test_what_the_program_holds_is_never_markup_or_an_escape_sequence() -> None:
    report = samples.faulty()
    report.target = "[red]a[/red] \x1b[2J.ipynb"
    report.program.notes = ["[/bold] \x07"]
    text = shown(report)
    assert "[red]a[/red]" in text
    assert "[/bold]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_long_names_keep_the_table_in_shape() -> None:
    name = "d_loss_with_respect_to_the_second_hidden_layer_weights"
    text = shown(
        samples.report(samples.one_pass(samples.correct(name, "W", 3), samples.correct("d_Z", "Z", 4)))
    )
    assert f"\n{name}\n" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_list_without_gradients_is_no_clean_bill() -> None:
    assert "says nothing about the program" in shown(samples.report())


def test_unchecked_gradients_are_said_again_at_the_end() -> None:
    unchecked = samples.correct("d_b", "b", 4, verdict=Verdict.UNCHECKED, reason="no oracle reaches it")
    text = shown(samples.report(samples.one_pass(samples.correct("d_Z", "Z", 3), unchecked)))
    assert "unchecked: `d_b`: no oracle reaches it" in text
    assert text.endswith("No fault in the 1 gradient that could be checked; 1 could not be.\n")


def test_an_ignored_rule_does_not_make_the_gradients_right() -> None:
    report = samples.faulty()
    report.findings = []
    assert "3 gradients are wrong, though no selected rule says so." in shown(report)


def test_small_differences_are_shown_with_as_many_digits_as_they_need() -> None:
    row = samples.wrong(
        "d_A_1", "A_1", samples.at(6, 10, 23), local_error=7e-6, expected_norm=1.0, found_norm=1.000007
    )
    text = shown(samples.report(samples.one_pass(row)), 100)
    assert "relative error 7e-6" in text
    assert "expected: norm 1," in text
    assert "found:    norm 1.000007," in text


def test_nan_is_shown() -> None:
    row = samples.wrong(
        "d_A_1", "A_1", samples.at(6, 10, 23), problem=Problem.NON_FINITE, local_error=float("nan"),
        found_norm=float("nan"),
    )  # fmt: skip
    text = shown(samples.report(samples.one_pass(row)), 100)
    assert "error[GC108]" in text
    assert "found:    norm nan" in text
