"""Which faults of a report become components, and how they are repaired."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck.health.updates.records import LearningRate, ParameterRecord, StepRecord, UpdateHealth
from gradcheck.isolation.components import components_of, grouped_by_layer, left_out
from gradcheck.isolation.records import ComponentKind, GradientKey
from gradcheck.judge.verdict import GradientResult, PassResult, Verdict
from gradcheck.program.location import Location
from tests.isolation.made import finding, fix_in, gradient, place

SOURCE = "z = x @ W\nlr = 0.0005\nh = z ** 2\nfor p in ps:\n    p -= lr * g\nW -= 0.25 * dW\n"


def row(name: str, verdict: Verdict, line: int) -> GradientResult:
    return GradientResult(name, None, place(line), verdict, lines=[place(line)])


def step(*rows: GradientResult) -> PassResult:
    return PassResult(0, "loss", 1.0, place(9), list(rows))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.py"
    path.write_text(SOURCE)
    return path


def test_wrong_and_compensated_gradients_are_components_and_inherited_ones_are_not() -> None:
    rows = [
        row("dC", Verdict.COMPENSATED, 3), row("dA", Verdict.INTRODUCED, 1), row("dB", Verdict.INHERITED, 2),
        row("dD", Verdict.CORRECT, 4),
    ]  # fmt: skip
    found = components_of(step(*rows), [finding("GC101", place(1))])
    assert [(c.key, c.rules) for c in found] == [("dA", ("GC101",)), ("dC", ())]


def test_the_same_name_twice_is_told_apart() -> None:
    found = components_of(step(row("dA", Verdict.INTRODUCED, 1), row("dA", Verdict.INTRODUCED, 2)), [])
    assert [(c.key, c.gradients) for c in found] == [
        ("dA", (GradientKey("dA", 0),)),
        ("dA (2)", (GradientKey("dA", 1),)),
    ]


def test_a_verified_fix_of_another_line_is_an_edit(file: Path) -> None:
    fix = fix_in(file, "** 2", "** 3")
    (found,) = components_of(step(row("dA", Verdict.CORRECT, 40)), [finding("GC101", fix.location, fix)])
    assert (found.key, found.kind, found.what) == ("line 3", ComponentKind.EDIT, "`** 3` in place of `** 2`")
    assert found.edits[0].replacement == "** 3"


def test_a_gradient_that_is_wrong_because_of_the_forward_pass_is_repaired_there(file: Path) -> None:
    fix = fix_in(file, "** 2", "** 3")
    cause = finding("GC101", fix.location, fix, forward=True, gradients=["dA"])
    (found,) = components_of(step(row("dA", Verdict.INTRODUCED, 40)), [cause])
    assert found.key == "line 3"


def test_faults_of_other_passes_play_no_part(file: Path) -> None:
    fix = fix_in(file, "** 2", "** 3")
    assert components_of(step(), [finding("GC101", fix.location, fix, passes=[1])]) == []


def learning_rate(value: float, literal: Location | None) -> tuple[UpdateHealth, dict[str, object]]:
    rate = LearningRate(value, "lr", None, value, literal)
    weights = [
        ParameterRecord(name, (2, 2), True, 0.0, 1.0, update_std=1e-6, learning_rate=rate)
        for name in ("W", "V")
    ]
    evidence = {"learning_rate": value, "recommended_learning_rate": 0.0731234, "iteration": 0}
    return UpdateHealth("", [StepRecord(0, 0, weights)]), evidence


def test_another_learning_rate_is_an_experiment_and_no_repair() -> None:
    health, evidence = learning_rate(0.0005, place(2, column=6, end_column=12))
    (found,) = components_of(step(), [finding("GC402", place(5), **evidence)], health)
    assert (found.key, found.verified) == ("lr", False)
    assert [(e.location.column, e.location.end_column, e.replacement) for e in found.edits] == [
        (6, 12, "0.073")
    ]


def test_a_learning_rate_that_is_not_written_there_is_left_alone() -> None:
    health, evidence = learning_rate(0.0005, None)
    assert components_of(step(), [finding("GC402", place(5), **evidence)], health) == []


def test_gradients_of_a_layer_are_one_component_and_edits_stay_by_themselves(file: Path) -> None:
    fix = fix_in(file, "** 2", "** 3")
    rows = [row(name, Verdict.INTRODUCED, line) for line, name in enumerate(("dA", "dB", "dC"), start=10)]
    found = components_of(step(*rows), [finding("GC101", fix.location, fix)])
    depths = {GradientKey("dA"): 2, GradientKey("dB"): 1, GradientKey("dC"): 2}
    grouped = {c.key: c for c in grouped_by_layer(found, depths)}
    assert set(grouped) == {"layer 1", "layer 2", "line 3"}
    assert grouped["layer 2"].gradients == (GradientKey("dA"), GradientKey("dC"))
    assert grouped["layer 2"].what == "the true gradients in place of `dA`, `dC`"


def test_what_cannot_be_repaired_is_told() -> None:
    faults = [finding("GC104", place(7)), finding("GC101", place(8))]
    assert left_out(step(), faults, [gradient("dA", 8)]) == ["GC104 in line 7: no fix of it is verified"]
    assert left_out(step(), faults, [gradient("dA", 7)]) == []
