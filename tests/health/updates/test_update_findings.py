"""GC401 to GC403: each planted fault is found by its own rule alone, and right programs by none."""

from __future__ import annotations

import math

import pytest

from gradcheck.checks.finding import Finding
from gradcheck.report.model import Report
from tests.health.updates.programs import line_of, network, report

_TO_RANDOM_BIAS = "torch.randn(30)"
_ZEROS = {"first": "torch.zeros(12, 30)", "last": "torch.zeros(30, 8)"}
_BY_LINE = "W1 = W1 - {0} * dW1\nb1 = b1 - {0} * db1\nW2 = W2 - {0} * dW2\nb2 = b2 - {0} * db2"


def only(found: Report) -> Finding:
    assert len(found.findings) == 1, [f.message for f in found.findings]
    return found.findings[0]


@pytest.mark.parametrize(
    "program",
    [
        network(),
        network(last="torch.randn(30, 8) * 0.01"),
        network(last="torch.randn(30, 8) * 0.001", before="lr = 0.0001"),  # -7.3 and -2.4
        network(last=_ZEROS["last"]),
        network(first=_ZEROS["first"]),
        network(**_ZEROS, bias=_TO_RANDOM_BIAS),
        network(before="", update="lr = 1e-5 * (step + 1)\n" + "W1 -= lr * dW1\nW2 -= lr * dW2"),
        network(before="", update="lr = 1e-5 if step < 100 else 0.1\n" + "W1 -= lr * dW1\nW2 -= lr * dW2"),
        network(before="lr = 3.0"),
    ],
    ids=[
        "plain", "small last layer", "small last layer, slow", "zero last layer", "zero first layer", "zero but for a bias",
        "warm-up", "warm-up in two stages", "large steps that help",
    ],
)  # fmt: skip
def test_right_programs_are_left_alone(program: str) -> None:
    assert [f.message for f in report(program).findings] == []


def test_a_far_too_small_learning_rate_is_named_with_one_that_would_do() -> None:
    program = network(before="rate = 1e-5", update=_BY_LINE.format("rate"))
    finding = only(report(program))
    assert finding.rule == "GC402"
    assert "`rate` = 1e-05 is far too small" in finding.message
    assert finding.location.line in (line_of(program, "W1 = W1 - rate"), line_of(program, "W2 = W2 - rate"))
    assert f"`rate` is set to 1e-05 in line {line_of(program, 'rate = 1e-5')}" in finding.notes
    assert finding.evidence["learning_rate"] == 1e-5
    # With the recommended one the ratio is the healthy one, and a recorded step says so.
    mended = report(program.replace("1e-5", repr(finding.evidence["recommended_learning_rate"])))
    assert mended.findings == []
    median = mended.health.updates.steps[0].median_ratio
    assert median == pytest.approx(-3, abs=1e-4)
    assert mended.health.updates.steps[0].loss_after == pytest.approx(
        finding.evidence["loss_after_recommended"], rel=1e-5
    )


def test_a_step_that_overshoots_is_found() -> None:
    finding = only(report(network(before="lr = 300.0")))
    assert (finding.rule, finding.evidence["learning_rate"]) == ("GC402", 300.0)
    assert "too large" in finding.message


@pytest.mark.parametrize(
    "update",
    [
        "W1 += lr * dW1\nb1 += lr * db1\nW2 += lr * dW2\nb2 += lr * db2",
        "W1 += lr * dW1\nW2 -= lr * dW2",  # a small step lowers the loss
    ],
)
def test_steps_uphill_are_not_blamed_on_the_learning_rate(update: str) -> None:
    found = report(network(before="lr = 300.0", update=update))
    step = found.health.updates.steps[0]
    assert step.loss_before is not None
    assert step.loss_after is not None
    assert step.loss_after > 2 * step.loss_before
    assert [f.rule for f in found.findings] == []


@pytest.mark.parametrize(
    "loss",
    [
        "loss = F.cross_entropy(logits, y)",
        "loss = F.cross_entropy(logits, y, reduction='sum') / 64",
        "loss = F.nll_loss(logits.log_softmax(1), y)",
        "probs = logits.softmax(1)\nloss = -probs[range(64), y].log().mean()",
        "logs = logits.log_softmax(1)\nloss = -(F.one_hot(y, 8) * logs).sum() / 64",
        "logs = logits.log_softmax(1)\nloss = -logs.gather(1, y[:, None]).mean()",
        "loss = (logits.logsumexp(1) - logits[range(64), y]).mean()",
    ],
)
def test_every_way_of_writing_a_cross_entropy_is_recognised(loss: str) -> None:
    program = network(last="torch.randn(30, 8) * 3", loss=loss)
    found = report(program)
    finding = only(found)
    assert (finding.rule, finding.location.line) == ("GC401", line_of(program, "W2 = torch.randn"))
    first = found.health.updates.initial_losses[0]
    assert (first.classes, first.examples) == (8, 64)
    assert first.expected == math.log(8)
    assert first.found == pytest.approx(found.passes[0].loss_value)
    assert finding.evidence["loss_at_scale"] < 1.1 * math.log(8)


def test_a_binary_cross_entropy_is_none() -> None:
    found = report(
        """
        import torch
        torch.manual_seed(1)
        X = torch.randn(40, 3)
        Y = (X[:, :1] > 0).float()
        W = torch.randn(3, 1) * 9
        for step in range(9):
            p = torch.sigmoid(X @ W)
            loss = -(Y * torch.log(p + 1e-9) + (1 - Y) * torch.log(1 - p + 1e-9)).mean()
            dZ = (p - Y) / 40
            dW = X.T @ dZ
            W -= 0.1 * dW
        """
    )
    assert found.health.updates.initial_losses == []
    assert found.health.updates.no_loss == "the loss is no softmax cross-entropy"


def test_only_the_first_step_is_held_against_uniform_predictions() -> None:
    found = report(network(last="torch.randn(30, 8) * 3"), at=(2,))
    assert found.findings == []
    assert found.health.updates.initial_losses == []


@pytest.mark.parametrize("weights", [_ZEROS, {"first": "torch.ones(12, 30)", "last": "torch.ones(30, 8)"}])
def test_units_that_are_all_alike_are_found(weights: dict[str, str]) -> None:
    program = network(**weights)
    finding = only(report(program))
    assert (finding.rule, finding.location.line) == ("GC403", line_of(program, "W1 = torch"))
    assert finding.evidence["units"] == 30
    assert finding.evidence["all_zero"] == (weights is _ZEROS)
