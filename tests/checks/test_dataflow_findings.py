"""GC103, GC104 and GC105 on records made by hand."""

from __future__ import annotations

import pytest

from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.registry import run_checks
from gradcheck.checks.rule import Evidence
from gradcheck.judge.step.records import Bypass, Movement, ParameterUpdate, SkippedGradient, StepFlow
from gradcheck.judge.verdict import PassResult
from tests.report import samples

SKIPPED = SkippedGradient(
    "d_Z_1",
    "Z_1",
    samples.at(7, 9, 20),
    (
        Bypass("d_W_1", "W_1", samples.at(11, 9, 20), "d_A_1", "A_1"),
        Bypass("d_b_1", "b_1", samples.at(12, 9, 20), "d_A_1", "A_1"),
    ),
)


def update(parameter: str, movement: Movement, line: int | None = 30, **details: object) -> ParameterUpdate:
    fields: dict[str, object] = {
        "parameter": parameter,
        "movement": movement,
        "location": samples.at(line, 5, 20) if line is not None else None,
        "gradient": f"d_{parameter}",
        "gradient_location": samples.at(8, 9, 21),
        "moved_by": (f"d_{parameter}",),
        "moved_by_of": (parameter,),
        **details,
    }
    return ParameterUpdate(**fields)  # type: ignore[arg-type]


def findings(flow: StepFlow, *more: StepFlow) -> list[Finding]:
    steps: list[PassResult] = [
        samples.one_pass(samples.correct("d_Z_2", "Z_2", 3), flow=f, index=i)
        for i, f in enumerate((flow, *more))
    ]
    return run_checks(Evidence(steps))


def ups(*updates: ParameterUpdate, minimised: bool = True) -> list[Finding]:
    return findings(StepFlow([], list(updates), minimised))


DOWN = [update(name, Movement.DESCENDS, 31 + i) for i, name in enumerate(("W_1", "b_1", "W_2"))]


def test_a_skipped_gradient_is_one_error_that_names_the_lines_that_go_past_it() -> None:
    (finding,) = findings(StepFlow([SKIPPED]), StepFlow([SKIPPED]))
    assert (finding.rule, finding.severity) == ("GC103", Severity.ERROR)
    assert finding.location == SKIPPED.location
    assert finding.message == "`d_Z_1` is computed and never used: the chain skips `Z_1`"
    assert finding.notes == [
        "`d_W_1` (line 11) and `d_b_1` (line 12) read `d_A_1`, the gradient of `A_1`",
    ]
    assert finding.helps == ["read `d_Z_1` there instead of `d_A_1`"]
    assert finding.evidence["passes"] == [0, 1]
    assert [row["gradient"] for row in finding.evidence["bypassed_by"]] == ["d_W_1", "d_b_1"]


def test_two_updates_on_one_line_are_one_finding() -> None:
    swapped = [
        update("W_1", Movement.ANOTHERS, moved_by=("d_W_2",), moved_by_of=("W_2",)),
        update("W_2", Movement.ANOTHERS, moved_by=("d_W_1",), moved_by_of=("W_1",)),
    ]
    (finding,) = ups(*swapped)
    assert (finding.rule, finding.severity) == ("GC104", Severity.ERROR)
    assert finding.message == "`W_1` is updated with `d_W_2`, the gradient of `W_2`"
    assert finding.notes[0] == "also `W_2` with `d_W_1`, the gradient of `W_1`"
    assert finding.helps == ["put the parameters and their gradients in the same order"]
    assert len(finding.evidence["updates"]) == 2


def test_one_uphill_among_many_is_an_error() -> None:
    (finding,) = ups(*DOWN, update("b_2", Movement.ASCENDS, 40, curved=True), minimised=False)
    assert (finding.rule, finding.location.line) == ("GC104", 40)
    assert finding.message == "`b_2` moves uphill: the update adds the gradient of the loss"


@pytest.mark.parametrize(
    ("updates", "minimised"),
    [
        # All uphill on an objective.
        ([update("W_1", Movement.ASCENDS), update("b_1", Movement.ASCENDS)], False),
        # A multiplier: the loss is linear in it.
        ([*DOWN, update("lam", Movement.ASCENDS, 40, curved=False)], True),
        # Two players: some up, some down.
        (
            [
                *DOWN,
                update("G", Movement.ASCENDS, 40, curved=True),
                update("g", Movement.ASCENDS, 41, curved=True),
            ],
            True,
        ),
        # One of two, on a loss that might be an objective.
        ([DOWN[0], update("g", Movement.ASCENDS, 41, curved=True)], False),
    ],
    ids=["objective", "multiplier", "two players", "one of two"],
)
def test_uphill_may_be_meant(updates: list[ParameterUpdate], minimised: bool) -> None:
    assert ups(*updates, minimised=minimised) == []


def test_all_uphill_on_a_loss_is_an_error() -> None:
    (finding,) = ups(update("W_1", Movement.ASCENDS), update("b_1", Movement.ASCENDS))
    assert finding.message == "`W_1` and `b_1` move uphill: the update adds the gradient of the loss"


def test_a_still_parameter_is_a_warning_at_its_gradient() -> None:
    (finding,) = ups(*DOWN, update("b_2", Movement.STILL, None))
    assert (finding.rule, finding.severity) == ("GC105", Severity.WARNING)
    assert finding.location == samples.at(8, 9, 21)
    assert finding.message == "`b_2` is never updated: `d_b_2` is computed and not applied"
    assert finding.notes == ["`W_1`, `b_1` and `W_2` move by their gradients, the last of them in line 33"]


def test_a_parameter_that_only_decays_is_a_warning_at_its_update() -> None:
    (finding,) = ups(*DOWN, update("b_2", Movement.WITHOUT, 40))
    assert (finding.rule, finding.location.line) == ("GC105", 40)
    assert "`d_b_2` is computed in line 8" in finding.notes


def test_what_moves_in_another_step_is_not_forgotten() -> None:
    still = StepFlow([], [*DOWN, update("b_2", Movement.STILL, None)])
    assert findings(still, StepFlow([], [update("b_2", Movement.DESCENDS)])) == []


@pytest.mark.parametrize("movement", [Movement.DESCENDS, Movement.UNCHECKED])
def test_nothing_is_said_about_what_is_right_or_unknown(movement: Movement) -> None:
    assert ups(*DOWN, update("b_2", movement)) == []


def test_without_a_sibling_that_moves_nothing_is_forgotten() -> None:
    assert ups(update("b_2", Movement.STILL, None)) == []
