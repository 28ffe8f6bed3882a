"""One batch normalisation, written in many ways: recognised, measured, and accused only where it does not normalise."""

from __future__ import annotations

import pytest

from gradcheck.checks.finding import Severity
from gradcheck.checks.registry import State
from gradcheck.health.batch_norm.records import Fault
from tests.health.batch_norm.batch_norm_programs import batch_norm_report, codes, program
from tests.support import report_on_source

RIGHT = {
    "sums": (
        "mean = 1 / 32 * z.sum(0, keepdim=True)\nd = z - mean\nvar = 1 / 31 * (d**2).sum(0, keepdim=True)\n"
        "inv = (var + 1e-5) ** -0.5\nnorm = d * inv",
        1,
    ),
    "var": ("norm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()", 1),
    "biased": ("norm = (z - z.mean(0)) * torch.rsqrt(z.var(0, unbiased=False) + 1e-5)", 0),
    "mean of squares": ("c = z - z.mean(0)\nnorm = c / torch.sqrt((c * c).mean(0) + 1e-5)", 0),
    "second moment": ("v = (z**2).mean(0) - z.mean(0) ** 2\nnorm = (z - z.mean(0)) * (1 / (v + 1e-5) ** 0.5)", 0),
    "std": ("norm = (z - z.mean(0)) / (z.std(0) + 1e-5)", 1),
    "no epsilon": ("norm = (z - z.mean(0)) / z.std(0, unbiased=False)", 0),
    "both at once": ("var, mean = torch.var_mean(z, 0)\nnorm = (z - mean) / torch.sqrt(var + 1e-5)", 1),
    "in place": ("norm = z.clone()\nnorm -= norm.mean(0)\nnorm /= norm.std(0) + 1e-5", 1),
    "expanded": ("m = z.mean(0).expand_as(z)\nnorm = (z - m) / z.std(0).unsqueeze(0).expand(32, 12)", 1),
    "scale and shift": ("a = 1 / (z.var(0) + 1e-5).sqrt()\nb = -z.mean(0) * a\nnorm = z * a + b", 1),
    "function": ("norm = F.batch_norm(z, None, None, training=True)", 0),
}  # fmt: skip


@pytest.mark.parametrize(("statistics", "correction"), RIGHT.values(), ids=RIGHT)
def test_a_right_layer_is_recognised_however_it_is_written(statistics: str, correction: int) -> None:
    report = batch_norm_report(program(statistics))
    assert codes(report) == []
    (layer,) = report.health.batch_norm.layers
    assert (layer.batch, layer.features, layer.batches) == (32, 12, 64)
    assert layer.exponent == pytest.approx(-0.5, abs=1e-3)
    assert layer.correction == correction
    assert layer.fault is Fault.NONE
    assert layer.weight == "W1"
    assert layer.gamma is not None
    assert layer.gamma.name == "gamma"
    assert layer.beta is not None
    assert layer.beta.name == "beta"
    assert max(abs(mean) for mean in layer.means) < 1e-9


@pytest.mark.parametrize(
    ("statistics", "eps", "on_std"),
    [
        ("norm = (z - z.mean(0)) / (z.var(0) + 3e-4).sqrt()", 3e-4, False),
        ("norm = (z - z.mean(0)) / (z.std(0) + 2e-3)", 2e-3, True),
        ("norm = (z - z.mean(0)) / z.std(0)", 0.0, False),
    ],
)
def test_the_epsilon_is_found(statistics: str, eps: float, on_std: bool) -> None:
    (layer,) = batch_norm_report(program(statistics)).health.batch_norm.layers
    assert layer.eps == pytest.approx(eps, rel=1e-3)
    assert layer.eps_on_std is on_std


WRONG = {
    "multiplied": ("s = (z.var(0) + 1e-5) ** 0.5\nnorm = (z - z.mean(0)) * s", Fault.POWER, "multiplies by the standard"),
    "by the variance": ("norm = (z - z.mean(0)) / (z.var(0) + 1e-5)", Fault.POWER, "divides by the variance"),
    "mean over the features": (
        "norm = (z - z.mean(1, keepdim=True)) / (z.var(0) + 1e-5).sqrt()", Fault.AXIS, "over another axis"
    ),
    "mean of all": ("norm = (z - z.mean()) / (z.var(0) + 1e-5).sqrt()", Fault.AXIS, "over another axis"),
    "variance over the features": (
        "norm = (z - z.mean(0)) / (z.var(1, keepdim=True) + 1e-5).sqrt()", Fault.AXIS, "over another axis"
    ),
    "not centred": ("norm = (z - z.mean(0)) / ((z**2).mean(0) + 1e-5).sqrt()", Fault.NOT_CENTRED, "mean square"),
    "not averaged": (
        "c = z - z.mean(0)\nnorm = c / ((c**2).sum(0) + 1e-5).sqrt()", Fault.NOT_AVERAGED, "not divided by the number"
    ),
    "statistic of another": (
        "other = torch.relu(z) * 2\nnorm = (z - other.mean(0)) / (z.var(0) + 1e-5).sqrt()", Fault.FOREIGN, "another tensor"
    ),
    "wrong count": ("c = z - z.sum(0) / 12\nnorm = c / (z.var(0) + 1e-5).sqrt()", Fault.MEAN, "than the mean"),
}  # fmt: skip


@pytest.mark.parametrize(("statistics", "fault", "said"), WRONG.values(), ids=WRONG)
def test_a_layer_that_does_not_normalise_is_told_why(statistics: str, fault: Fault, said: str) -> None:
    report = batch_norm_report(program(statistics))
    assert codes(report) == ["GC301"]
    (finding,) = report.findings
    assert finding.severity is Severity.ERROR
    assert said in finding.message
    assert finding.evidence["cause"] == fault.value


def test_the_line_of_the_wrong_scale_is_the_one_to_edit() -> None:
    text = program("mean = z.mean(0)\nvar = z.var(0)\nscale = (var + 1e-5) ** 0.5\nnorm = (z - mean) * scale")
    (finding,) = batch_norm_report(text).findings
    assert text.splitlines()[finding.location.line - 1].strip().startswith("scale =")


NO_LAYER = {
    "layer normalisation": "norm = (z - z.mean(1, keepdim=True)) / (z.var(1, keepdim=True) + 1e-5).sqrt()",
    "centred only": "norm = z - z.mean(0)",
    "scaled only": "norm = z / z.std(0)",
    "softmax over the batch": "norm = torch.softmax(z, 0)",
    "normalised weights": "w = (W1 - W1.mean(0)) / W1.std(0)\nnorm = x @ w",
    "of a whole batch of numbers": "norm = (z - z.mean()) / z.std()",
    "a fixed standardisation": "norm = (z - running_mean) / running_var",
}  # fmt: skip


@pytest.mark.parametrize("statistics", NO_LAYER.values(), ids=NO_LAYER)
def test_what_is_no_batch_normalisation_is_not_taken_for_one(statistics: str) -> None:
    report = batch_norm_report(program(statistics))
    assert codes(report) == []
    assert report.health.batch_norm.layers == []
    state = next(check for check in report.checks if check.rule == "GC301")
    assert state.state is State.NOT_TRIGGERED
    assert state.reason


@pytest.mark.parametrize("bias", ["", " + b1"])
def test_layer_normalisation_of_columns_is_no_batch_normalisation(bias: str) -> None:
    report = report_on_source(
        """
        import torch
        torch.manual_seed(0)
        X, Y = torch.randn(6, 40), torch.randn(1, 40)
        W1, b1, W2 = torch.randn(9, 6), torch.randn(9, 1), torch.randn(1, 9)
        for step in range(10):
            z = W1 @ XPLUS_BIAS
            norm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()
            out = W2 @ norm
            loss = ((out - Y) ** 2).mean()
            dout = 2 * (out - Y) / 40
            dW2 = dout @ norm.T
            dnorm = W2.T @ dout
            dW1, db1 = dnorm @ X.T, dnorm.sum(1, keepdim=True)
            for p, d in ((W1, dW1), (b1, db1), (W2, dW2)):
                p -= 0.1 * d
        """.replace("PLUS_BIAS", bias),
        fix_budget_s=0.0,
        select=("GC3",),
    )
    assert codes(report) == []
    assert report.health.batch_norm.layers == []


def test_images_are_normalised_over_all_but_their_channels() -> None:
    statistics = """\
image = z.view(32, 3, 2, 2)
m = image.mean((0, 2, 3), keepdim=True)
v = image.var((0, 2, 3), keepdim=True, unbiased=False)
norm = ((image - m) / (v + 1e-5).sqrt()).reshape(32, 12)"""
    report = batch_norm_report(program(statistics))
    assert codes(report) == []
    (layer,) = report.health.batch_norm.layers
    assert (layer.batch, layer.features) == (128, 3)


def test_a_bias_that_the_mean_takes_away_again_is_a_note() -> None:
    report = batch_norm_report(program(bias=True))
    (finding,) = report.findings
    assert (finding.rule, finding.severity) == ("GC302", Severity.NOTE)
    assert "`b1`" in finding.message


def test_a_bias_is_none_where_something_comes_between() -> None:
    statistics = "z = torch.relu(z)\nnorm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()"
    report = batch_norm_report(program(statistics, bias=True))
    assert codes(report) == []
    assert report.health.batch_norm.layers[0].bias == ""


def test_a_bias_that_is_not_centred_away_is_none() -> None:
    statistics = "norm = (z - z.mean(1, keepdim=True)) / (z.var(0) + 1e-5).sqrt()"
    assert codes(batch_norm_report(program(statistics, bias=True))) == ["GC301"]


def test_a_batch_of_two_is_a_warning() -> None:
    report = batch_norm_report(program(batch=2))
    assert codes(report) == ["GC305"]
    assert codes(batch_norm_report(program(batch=4))) == []
    assert codes(batch_norm_report(program(batch=4), thresholds={"GC305.batch-size": 8})) == ["GC305"]


def test_an_epsilon_above_the_variance_is_a_warning() -> None:
    report = batch_norm_report(program(size=0.0001))
    assert codes(report) == ["GC306"]
    assert report.findings[0].evidence["share"] > 0.9
    assert codes(batch_norm_report(program(size=0.01))) == []


def test_a_report_of_several_iterations_has_a_row_for_each() -> None:
    report = batch_norm_report(program(bias=True), at=(0, 3))
    assert [layer.iteration for layer in report.health.batch_norm.layers] == [0, 3]
    assert codes(report) == ["GC302"]


def test_a_parameter_whose_gradient_is_asked_for_later_is_one_all_the_same() -> None:
    report = report_on_source(
        """
import torch

torch.manual_seed(4)
data = torch.randn(24, 6)
weight, offset, scale, shift = (torch.randn(n) * 0.4 for n in ((6, 10), 10, 10, 10))
scale = scale + 1
weight.requires_grad_(), offset.requires_grad_(), scale.requires_grad_(), shift.requires_grad_()
mixed = data @ weight + offset
deviation = mixed - mixed.mean(0)
norm = deviation / ((deviation**2).mean(0) + 1e-5).sqrt()
out = torch.sigmoid(scale * norm + shift)
loss = (out**2).mean()
loss.backward()
dout = 2 * out / out.numel()
""",
        fix_budget_s=0.0,
        select=("GC3",),
    )
    assert codes(report) == ["GC302"]
    assert {c.rule for c in report.checks if c.state == "passed"} >= {"GC301", "GC303", "GC306"}
