"""The figures of every parameter, and the number that is its learning rate."""

from __future__ import annotations

import ast
import math
import tempfile
from pathlib import Path

import pytest

from gradcheck.report.health.tables import health_tables
from tests.health.updates.programs import network, report

_START = "lr = 0.05\nP = [W1, b1, W2, b2]\nM = [torch.zeros_like(p) for p in P]\nV = [torch.zeros_like(p) for p in P]\n"
_GRADIENTS = "for p, g, m, v in zip(P, [dW1, db1, dW2, db2], M, V):\n"
_ADAM = (
    "    m.mul_(0.9).add_(0.1 * g)\n    v.mul_(0.99).add_(0.01 * g * g)\n"
    "    p -= lr * (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.99 ** (step + 1))).sqrt() + 1e-8)\n"
)


@pytest.mark.parametrize(
    "update",
    [
        _GRADIENTS + "    p -= lr * g\n",
        _GRADIENTS + "    p.data += -lr * g\n",
        _GRADIENTS + "    p.data.add_(g, alpha=-lr)\n",
        _GRADIENTS + "    m.mul_(0.9).add_(g)\n    p.sub_(lr * m)\n",
        _GRADIENTS + _ADAM,
        "W1 = W1 - lr * dW1\nb1 = b1 - lr * db1\nW2 = W2 - lr * dW2\nb2 = b2 - lr * db2",
    ],
    ids=["in place", "data", "alpha", "momentum", "adam", "rebound"],
)
def test_the_ratio_is_that_of_what_the_step_really_did(update: str) -> None:
    program = network(before=_START, update=update)
    follow = program + (
        "    if step == 0: first = [t.clone() for t in (W1, W2)]\n"
        "    if step == 1:\n"
        "        moved = [(t - f).std(correction=0) / f.std(correction=0) for t, f in zip((W1, W2), first)]\n"
        "        open(target, 'w').write(repr([float(m) for m in moved]))\n"
        "        break\n"
    )
    # The program itself measures its second step; the recording must agree.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "moved.txt")
        found = report(f"target = {str(target)!r}\n{follow}", at=(1, 5), allow_writes=True)
        expected = ast.literal_eval(target.read_text())
    step = next(s for s in found.health.updates.steps if s.iteration == 1)
    ratios = {p.name: p.update_ratio for p in step.parameters}
    assert [ratios["W1"], ratios["W2"]] == pytest.approx([math.log10(e) for e in expected], abs=1e-3)
    rates = {p.learning_rate.value for p in step.parameters if p.learning_rate is not None}
    assert rates == {0.05}
    assert {p.learning_rate.text for p in step.parameters if p.learning_rate is not None} == {"lr"}


def test_a_momentum_that_holds_the_learning_rate_of_earlier_steps_has_none() -> None:
    program = network(before=_START, update=_GRADIENTS + "    m.mul_(0.9).add_(lr * g)\n    p -= m\n")
    first, later = report(program, at=(0, 3)).health.updates.steps
    assert all(p.learning_rate is not None for p in first.parameters)
    assert all(p.learning_rate is None for p in later.parameters)


def test_an_optimiser_of_torch_is_measured_and_its_inner_numbers_are_no_learning_rate() -> None:
    before = "P = [W1, b1, W2, b2]\nfor p in P: p.requires_grad_()\nopt = torch.optim.Adam(P, lr=0.01)"
    update = "for p, g in zip(P, [dW1, db1, dW2, db2]): p.grad = g.detach()\nopt.step()"
    step = report(network(before=before, update=update)).health.updates.steps[0]
    # Adam's first step is the learning rate in every element; W1 has a spread of 1 / sqrt(12).
    assert step.parameters[0].update_ratio == pytest.approx(math.log10(0.01 * 12**0.5), abs=0.1)
    assert all(p.learning_rate is None for p in step.parameters)


def test_the_table_shows_iterations_side_by_side() -> None:
    found = report(network(), at=(0, 4))
    parameters = next(t for t in health_tables(found.health) if t.name == "parameters")
    names = [column.name for column in parameters.columns]
    rows = [dict(zip(names, row, strict=True)) for row in parameters.rows]
    assert [(r["iteration"], r["parameter"]) for r in rows] == [
        (i, name) for i in (0, 4) for name in ("W1", "b1", "W2", "b2")
    ]
    first = rows[0]
    assert first["shape"] == "12 x 30"
    assert first["gradient"] == "dW1"
    assert first["gradient_ratio"] == pytest.approx(first["gradient_std"] / first["std"])
    # Plain descent: the step is the learning rate times the gradient.
    assert 10 ** first["update_ratio"] == pytest.approx(0.1 * first["gradient_ratio"])
    assert rows[1]["update_ratio"] is None  # a bias of zeros has no spread to compare with


@pytest.mark.parametrize(
    ("before", "update", "written"),
    [
        ("lr = 0.05", "W1 -= lr * dW1\nW2 -= lr * dW2", "0.05"),
        ("lr = 0.05", "lr = lr if step else 0.05\nW1 -= lr * dW1\nW2 -= lr * dW2", ""),  # in two places
        ("", "lr = 0.05 if step < 9 else 0.1\nW1 -= lr * dW1\nW2 -= lr * dW2", "0.05"),
        ("", "W1 -= 0.05 * dW1\nW2 -= 0.05 * dW2", "0.05"),
        ("lr = 0.1 / 2", "W1 -= lr * dW1\nW2 -= lr * dW2", ""),
    ],
)
def test_the_literal_that_is_the_learning_rate(before: str, update: str, written: str) -> None:
    program = network(before=before, update=update)
    rates = [p.learning_rate for p in report(program).health.updates.steps[0].weights]
    assert rates
    for rate in rates:
        assert rate is not None
        at = rate.literal
        found = "" if at is None else program.split("\n")[at.line - 1][at.column - 1 : at.end_column - 1]
        assert found == written
