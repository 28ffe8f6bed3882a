"""Planted faults are found by their rule and by no other one of the family; right programs by none."""

from __future__ import annotations

from typing import Any

import pytest

from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.registry import State
from gradcheck.report.model import Report
from tests.health.activations.programs import network, one_layer
from tests.support import report_on_source


def report(text: str, **options: Any) -> Report:
    return report_on_source(text, **{"select": ("GC2",), **options})


def the_finding(found: Report) -> Finding:
    (finding,) = found.findings
    return finding


def state(found: Report, rule: str) -> tuple[State, str]:
    (check,) = [check for check in found.checks if check.rule == rule]
    return check.state, check.looked_at or check.reason


def line(text: str, finding: Finding) -> str:
    return text.splitlines()[finding.location.line - 1].strip()


# -- dead units ------------------------------------------------------------------------------------------------------


def test_a_unit_that_is_never_on() -> None:
    text = network("relu", change="bs[1][7] = -100")
    finding = the_finding(report(text))
    assert finding.rule == "GC201"
    assert finding.severity is Severity.WARNING
    assert line(text, finding) == "a = torch.relu(z)"
    assert (finding.evidence["layer"], finding.evidence["dead"]) == (2, [7])
    assert finding.message.startswith("1 of 60 units (1.7 %) is dead in `a` (layer 2 of 2)")
    assert "2048 samples of 64 minibatches: unit 7" in finding.label
    assert any("unit 7 averages -99" in note for note in finding.notes)


def test_a_layer_that_is_never_on() -> None:
    finding = the_finding(report(network("relu", change="bs[0] -= 40")))
    assert finding.rule == "GC201"
    assert finding.message.startswith("all 60 units are dead")
    assert finding.label.endswith("units 0 to 59")


def test_leaky_units_always_below_zero() -> None:
    finding = the_finding(report(network("leaky", change="bs[0][[2, 9]] = -30")))
    assert (finding.rule, finding.evidence["dead"]) == ("GC201", [2, 9])
    assert "more than 0.01 of their gradient" in finding.message


def test_a_gentle_slope_still_learns() -> None:
    found = report(network("gentle", change="bs[0][2] = -30"))
    assert found.findings == []
    assert state(found, "GC201")[0] is State.NOT_TRIGGERED


@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_a_unit_at_its_limits_on_every_sample(function: str) -> None:
    finding = the_finding(report(network(function, change="bs[0][4] = 60; bs[0][5] = -60")))
    assert (finding.rule, finding.evidence["dead"]) == ("GC201", [4, 5])
    assert f"at the limits of {function}" in finding.label


def test_a_small_recorded_batch_proves_nothing_about_its_units() -> None:
    found = report(network("relu", rows=60, batch="torch.arange(N)", change="bs[0] -= 40"))
    assert found.findings == []
    reached, reason = state(found, "GC201")
    assert reached is State.NOT_TRIGGERED
    assert reason.startswith("32 samples found; at least 500 needed")


def test_a_large_recorded_batch_is_enough() -> None:
    text = network("relu", batch="torch.arange(N)", change="bs[0][3] = -100").replace("N = 32", "N = 2000")
    finding = the_finding(report(text))
    assert (finding.evidence["samples"], finding.evidence["batches"]) == (2000, 1)


def test_few_minibatches_are_not_enough() -> None:
    text = network("relu", change="bs[0][3] = -100")
    assert state(report(text, sweep=4), "GC201")[0] is State.NOT_TRIGGERED
    thresholds = {"GC201.minimum-samples": 100.0}
    assert the_finding(report(text, sweep=4, thresholds=thresholds)).rule == "GC201"


# -- saturation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "scale"), [("tanh", "1.0"), ("sigmoid", "3.0")])
def test_weights_too_large_for_their_inputs(function: str, scale: str) -> None:
    text = network(function, scale=scale)
    finding = the_finding(report(text))
    assert finding.rule == "GC202"
    assert finding.evidence["layers"] == [1, 2]
    assert finding.evidence["saturated"] > 0.7
    assert 0 < finding.evidence["beyond"] < finding.evidence["saturated"]
    first, second = sorted(finding.helps)
    assert first.startswith("scale `Ws[0]` (line 9) by 0.")
    assert second.startswith("scale `Ws[1]` (line 9) by 0.")


def test_the_factor_that_is_advised_mends_it() -> None:
    finding = the_finding(report(network("tanh", scale="1.0", depth=1)))
    factor = finding.helps[0].split(" by ")[1].split(":")[0]
    assert float(factor) == pytest.approx(5 / 3 / 30**0.5, rel=0.05)
    assert report(network("tanh", scale=factor, depth=1)).findings == []


def test_the_share_is_that_of_all_samples() -> None:
    """With a normal argument of standard deviation s, P(abs(z) > atanh(0.97)) is known."""
    found = report(network("tanh", depth=1, scale="4 / fan**0.5", width=400))
    (layer,) = found.health.activations.layers
    assert layer.argument_std == pytest.approx(4, rel=0.1)
    assert layer.saturated == pytest.approx(0.601, abs=0.03)  # 2 * (1 - Phi(2.0923 / 4))
    assert layer.beyond == pytest.approx(0.0175, abs=0.008)  # 2 * (1 - Phi(9.5 / 4))


def test_large_inputs_are_blamed_where_the_weights_are_not_to_blame() -> None:
    text = network("tanh", depth=1).replace("X = torch.randn(2000, 30)", "X = 20 * torch.randn(2000, 30)")
    finding = the_finding(report(text))
    assert finding.rule == "GC202"
    assert "`Ws[0]` is not too large" in finding.helps[0]
    assert "inputs" in finding.helps[0]


def test_a_saturated_prediction_is_nobodys_business() -> None:
    text = one_layer("a = torch.tanh(z)").replace(
        "    loss = F.cross_entropy(logits, Y[ix])",
        "    p = torch.sigmoid(50 * logits)\n    loss = ((p - F.one_hot(Y[ix], 4)) ** 2).mean()",
    )
    found = report(text)
    (_, output) = found.health.activations.layers
    assert output.saturated is not None
    assert output.saturated > 0.5
    assert found.findings == []


def test_how_it_was_at_another_iteration_is_told() -> None:
    text = network("tanh", depth=1).replace("W -= 0.1 * dW", "W *= 1.2")
    found = report(text, at=(0, 20))
    finding = the_finding(found)
    assert finding.evidence["iteration"] == 20
    assert any("at iteration 0; the figures are of iteration 20" in note for note in finding.notes)
    assert [layer.iteration for layer in found.health.activations.layers] == [0, 20]


# -- trends ----------------------------------------------------------------------------------------------------------


def test_a_gradient_that_vanishes() -> None:
    text = network("tanh", depth=6, scale="0.012")
    finding = the_finding(report(text))
    assert finding.rule == "GC203"
    assert finding.evidence["factor"] == pytest.approx(0.012 * 60**0.5, rel=0.15)
    assert len(finding.evidence["norms"]) == 6
    assert finding.helps[0].startswith("scale `Ws[1]` (line 9) by 1")
    assert finding.helps[-1] == "and the same for 3 more layers"


def test_deep_sigmoids_are_told_to_be_something_else() -> None:
    finding = the_finding(report(network("sigmoid", depth=9)))
    assert finding.rule == "GC203"
    assert "at most 1/4" in finding.helps[0]


def test_a_gradient_that_explodes() -> None:
    finding = the_finding(report(network("relu", depth=6, scale="1.0")))
    assert finding.rule == "GC204"
    assert finding.evidence["factor"] == pytest.approx((60 / 2) ** 0.5, rel=0.25)
    assert finding.evidence["total"] > 1000


def test_two_layers_have_no_trend() -> None:
    found = report(network("tanh", scale="0.0001"))
    reached, reason = state(found, "GC203")
    assert reached is State.NOT_TRIGGERED
    assert "3 hidden layers" in reason


def test_a_gradient_of_exactly_zero_has_no_trend() -> None:
    found = report(network("tanh", depth=4, change="V *= 0"))
    assert state(found, "GC203") == (
        State.NOT_TRIGGERED,
        "the gradient of a layer is exactly zero, so that it has no trend",
    )


# -- right programs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["tanh", "relu", "leaky"])
@pytest.mark.parametrize(("depth", "width"), [(1, 200), (2, 60), (5, 12), (20, 60)])
def test_right_networks_are_left_alone(function: str, depth: int, width: int) -> None:
    found = report(network(function, depth=depth, width=width, seed=depth), sweep=24)
    assert found.findings == []
    assert state(found, "GC201")[0] is State.PASSED
    assert state(found, "GC204")[0] is (State.PASSED if depth > 2 else State.NOT_TRIGGERED)
    assert len(found.health.activations.layers) == depth


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_narrow_networks_of_relus_are_left_alone(seed: int) -> None:
    """Some of their units are dead from the start, by chance alone."""
    text = network("relu", depth=4, width=12, inputs=5, seed=seed)
    assert report(text).findings == []


def test_a_network_without_activations_is_not_judged() -> None:
    found = report(one_layer("a = 2 * z"))
    for rule in ("GC201", "GC202", "GC203", "GC204"):
        assert state(found, rule)[0] is State.NOT_TRIGGERED


@pytest.mark.parametrize("function", ["tanh", "relu"])
def test_numbers_that_are_not_finite_are_not_judged(function: str) -> None:
    found = report(network(function, depth=1, change="Ws[0][0, 0] = float('nan')"))
    assert found.findings == []
    assert state(found, "GC201") == (State.NOT_TRIGGERED, "the activations are not finite")
    assert state(found, "GC202")[0] is State.NOT_TRIGGERED


def test_weights_of_zero_are_to_be_drawn() -> None:
    finding = the_finding(report(network("relu", depth=1, change="Ws[0] *= 0")))
    assert finding.rule == "GC201"
    assert finding.helps == [
        "draw `Ws[0]` (line 9) at random: it is the same everywhere, and relu with 30 inputs needs the standard "
        "deviation sqrt(2 / 30) = 0.258"
    ]
