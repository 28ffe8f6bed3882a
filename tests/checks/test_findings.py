"""From rows to findings: one per cause, at the line a person would edit."""

from __future__ import annotations

import pytest

from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.registry import run_checks
from gradcheck.checks.rule import Evidence
from gradcheck.checks.wording import listing
from gradcheck.judge.verdict import GradientResult, Problem, Verdict
from tests.report import samples


def findings(*rows: GradientResult, **options: list[str]) -> list[Finding]:
    return run_checks(Evidence([samples.one_pass(*rows)]), **options)


def codes(found: list[Finding]) -> list[str]:
    return [finding.rule for finding in found]


def wrong(name: str = "d_A_1", **details: object) -> GradientResult:
    return samples.wrong(name, name[2:], samples.at(6, 10, 23), **details)


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Problem.NONE, "GC101"),
        (Problem.WRONG_VALUE, "GC101"),
        (Problem.HIDDEN, "GC102"),
        (Problem.SHAPE, "GC106"),
        (Problem.NON_FINITE, "GC108"),
        (Problem.SHAPE_NOTE, "GC101"),
    ],
)
def test_what_a_line_introduces_is_an_error(problem: Problem, code: str) -> None:
    (finding,) = findings(wrong(problem=problem))
    assert (finding.rule, finding.severity) == (code, Severity.ERROR)
    assert finding.location == samples.at(6, 10, 23)


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("problem", Problem)
def test_every_outcome_has_at_most_one_finding(verdict: Verdict, problem: Problem) -> None:
    assert len(findings(wrong(verdict=verdict, problem=problem))) <= 1


@pytest.mark.parametrize("problem", Problem)
def test_no_introduced_row_goes_without_a_finding(problem: Problem) -> None:
    if problem not in (
        Problem.UNPAIRED,
        Problem.UNREACHED,
        Problem.HARMLESS,
        Problem.IMPRECISE,
    ):  # these cannot be introduced
        assert findings(wrong(problem=problem))


@pytest.mark.parametrize(
    "verdict", [Verdict.CORRECT, Verdict.UNOBSERVABLE, Verdict.UNCHECKED, Verdict.INHERITED]
)
def test_nothing_else_is_accused_of_its_value(verdict: Verdict) -> None:
    for problem in (
        Problem.NONE,
        Problem.WRONG_VALUE,
        Problem.NON_FINITE,
        Problem.UNPAIRED,
        Problem.UNREACHED,
    ):
        if (verdict, problem) != (Verdict.CORRECT, Problem.NON_FINITE):  # a right formula that left its type
            assert findings(wrong(verdict=verdict, problem=problem)) == []


def test_inheritors_are_named_in_a_note_of_the_finding_they_inherit_from() -> None:
    inheritors = [samples.inherited(f"d_{i}", f"x_{i}", 7 + i, "d_A_1") for i in range(5)]
    (finding,) = findings(wrong(), *inheritors)
    assert finding.notes == ["`d_0`, `d_1` and 3 more inherit this error"]


def test_a_compensated_line_is_an_error_and_a_scale_convention_is_not() -> None:
    (finding,) = findings(wrong(verdict=Verdict.COMPENSATED, total_error=1e-16))
    assert finding.rule == "GC101"
    assert finding.severity is Severity.ERROR
    assert "two faults cancel" in finding.message
    assert findings(wrong(verdict=Verdict.COMPENSATED, scale_note="kept as 32 x dL/dx")) == []


def test_misnamed_and_unfinished_are_warnings_and_another_shape_a_note() -> None:
    rows = [
        samples.correct("d_A_1", "Z_1", 6, problem=Problem.MISNAMED),
        samples.correct("d_b_1", "b_1", 7, problem=Problem.SHAPE_NOTE),
        samples.correct("d_W_2", "W_2", 12, problem=Problem.UNFINISHED, verdict=Verdict.UNCHECKED),
    ]
    found = findings(*rows)
    assert [(f.rule, f.severity.value) for f in found] == [
        ("GC107", "warning"),
        ("GC106", "note"),
        ("GC109", "warning"),
    ]


def test_the_help_for_another_shape_tells_which_way_it_differs() -> None:
    row = samples.correct("d_b_1", "b_1", 7, problem=Problem.SHAPE_NOTE, shape=(1, 27), of_shape=(27,))
    other = samples.correct("d_c_1", "c_1", 8, problem=Problem.SHAPE_NOTE, shape=(27,), of_shape=(1, 27))
    more, less = findings(row, other)
    assert more.helps == ["a sum without `keepdim`, or `.view_as(b_1)` gives it the shape of its value"]
    assert less.helps == ["`keepdim=True` in the sum, or `.view_as(c_1)` gives it the shape of its value"]


def test_one_line_is_one_finding_over_passes_and_layers() -> None:
    (finding,) = samples.several_passes().findings
    assert finding.evidence["passes"] == [0, 1]
    assert finding.evidence["local_error"] == 0.5
    assert any("this line is also wrong for `dx of h_1`" in note for note in finding.notes)
    assert any("the same at iterations 0, 100" in note for note in finding.notes)


def test_a_guessed_pairing_says_how_to_settle_it() -> None:
    (finding,) = findings(wrong(evidence="shape and position"))
    assert "`--pair d_A_1=VALUE`" in finding.helps[0]
    (finding,) = findings(wrong(evidence="name, shape"))
    assert finding.helps == []
    # What no shell takes as it is, and what is bound to no name.
    (finding,) = findings(samples.wrong("rng.normal()", "A_1", samples.at(6, 10, 23), evidence="shape"))
    assert "`# gradcheck: of VALUE`" in finding.helps[0]
    assert "--pair" not in finding.helps[0]


def test_findings_stand_in_the_order_of_the_program() -> None:
    later, earlier = wrong(), samples.wrong("d_Z", "Z", samples.at(1, 9, 25))
    assert [f.location.line for f in findings(later, earlier)] == [1, 6]


def test_rules_are_selected() -> None:
    rows = (wrong(), samples.wrong("d_Z", "Z", samples.at(1, 9, 25), problem=Problem.HIDDEN))
    assert codes(findings(*rows, select=["GC102"])) == ["GC102"]
    assert codes(findings(*rows, ignore=["hidden-by-initialisation"])) == ["GC101"]


def test_listing() -> None:
    assert listing(["a"]) == "`a`"
    assert listing(["a", "b"]) == "`a` and `b`"
    assert listing(["a", "b", "c"]) == "`a`, `b` and `c`"
    assert listing(["a", "b", "a", "c", "d"]) == "`a`, `b` and 2 more"
