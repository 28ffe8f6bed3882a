"""Statistics that are used after the training: calibrated and running ones, right and wrong."""

from __future__ import annotations

import pytest

from gradcheck.checks.registry import State
from gradcheck.report.model import Report
from tests.health.batch_norm.batch_norm_programs import STATISTICS, batch_norm_report, codes, program
from tests.support import report_on_source

USE = """
hidden = torch.tanh(gamma * ((X @ W1 - mean_) * (var_ + 1e-5) ** -0.5) + beta)
print(F.cross_entropy(hidden @ W2, Y).item())
"""
CALIBRATE = "all_z = X @ W1\nmean_ = all_z.mean(0)\nvar_ = all_z.var(0)\n"


def state(report: Report, rule: str = "GC304") -> State:
    return next(check.state for check in report.checks if check.rule == rule)


CALIBRATED = {
    "all of the data": CALIBRATE,
    "some of the data": "part = X[:40] @ W1\nmean_, var_ = part.mean(0), part.var(0)\n",
    "biased": "all_z = X @ W1\nmean_, var_ = all_z.mean(0), all_z.var(0, unbiased=False)\n",
    "in batches": """
parts = [X[i : i + 50] @ W1 for i in range(0, 300, 50)]
mean_ = torch.stack([p.mean(0) for p in parts]).mean(0)
var_ = torch.stack([p.var(0) for p in parts]).mean(0)
""",
}


@pytest.mark.parametrize("calibration", CALIBRATED.values(), ids=CALIBRATED)
def test_a_right_calibration_is_looked_at_and_found_right(calibration: str) -> None:
    report = batch_norm_report(program(after=calibration + USE))
    assert codes(report) == []
    assert state(report) is State.PASSED


STALE = {
    "without the data's own scale": ("half = X / 4 @ W1\nmean_, var_ = half.mean(0), half.var(0)\n", 2),
    "of another layer": ("other = torch.tanh(X @ W1)\nmean_, var_ = other.mean(0), other.var(0)\n", 2),
    "of noise": ("noise = torch.randn(300, 8) @ W1\nmean_, var_ = noise.mean(0), noise.var(0)\n", 2),
}


@pytest.mark.parametrize(("calibration", "most"), STALE.values(), ids=STALE)
def test_a_wrong_calibration_is_an_error_at_its_line(calibration: str, most: int) -> None:
    text = program(after=calibration + USE)
    report = batch_norm_report(text)
    assert set(codes(report)) == {"GC304"}
    assert len(report.findings) <= most
    for finding in report.findings:
        assert text.splitlines()[finding.location.line - 1].startswith("mean_, var_ =")


def test_a_bias_that_is_left_out_everywhere_changes_nothing() -> None:
    report = batch_norm_report(program(bias=True, after=CALIBRATE + USE))
    assert codes(report) == ["GC302"]
    assert state(report) is State.PASSED


def test_nothing_after_the_training_is_not_triggered() -> None:
    report = batch_norm_report(program())
    assert state(report) is State.NOT_TRIGGERED


RUNNING_USE = USE.replace("mean_", "running_mean").replace("var_", "running_var")
RUNNING = {
    "added": "running_mean = 0.9 * running_mean + 0.1 * mean\nrunning_var = 0.9 * running_var + 0.1 * var",
    "in place": "running_mean += 0.01 * (mean - running_mean)\nrunning_var.mul_(0.99).add_(0.01 * var)",
    "interpolated": "running_mean.lerp_(mean, 0.1)\nrunning_var.lerp_(var, 0.1)",
}


@pytest.mark.parametrize("running", RUNNING.values(), ids=RUNNING)
def test_running_statistics_that_have_not_arrived_are_right(running: str) -> None:
    report = batch_norm_report(program(running=running, after=RUNNING_USE))
    assert codes(report) == []
    assert state(report) is State.PASSED
    (use,) = report.health.batch_norm.in_use
    assert [statistic.weights for statistic in use.statistics] == [pytest.approx(1), pytest.approx(1)]


def test_weights_that_do_not_add_up_to_one_are_an_error() -> None:
    running = "running_mean = 0.9 * running_mean + 0.1 * mean\nrunning_var = 0.99 * running_var + 0.1 * var"
    text = program(running=running, after=RUNNING_USE)
    report = batch_norm_report(text)
    assert codes(report) == ["GC304"]
    (finding,) = report.findings
    assert "running_var = 0.99" in text.splitlines()[finding.location.line - 1]
    assert finding.evidence["weights"] == pytest.approx(1.09)


def test_running_sums_are_left_alone() -> None:
    report = batch_norm_report(program(running="running_mean += mean\nrunning_var += var"))
    assert codes(report) == []


def test_a_running_variance_over_n_beside_one_over_n_minus_one_is_a_note() -> None:
    running = (
        "running_mean = 0.9 * running_mean + 0.1 * mean\nrunning_var = 0.9 * running_var + 0.1 * z.var(0, {})"
    )
    assert codes(batch_norm_report(program(running=running.format("unbiased=False")))) == ["GC303"]
    assert codes(batch_norm_report(program(running=running.format("unbiased=True")))) == []
    biased = STATISTICS.replace("keepdim=True)\nnorm", "keepdim=True, unbiased=False)\nnorm")
    assert codes(batch_norm_report(program(biased, running=running.format("unbiased=True")))) == []


TWO = """
import torch
import torch.nn.functional as F
torch.manual_seed(5)
X = torch.randn(400, 6)
Y = (X[:, 0] > X[:, 1] * X[:, 2]).long()
W1, W2, W3 = torch.randn(6, 16) * 0.6, torch.randn(16, 16) * 0.4, torch.randn(16, 2) * 0.2
gain1, shift1 = torch.rand(16) + 0.8, torch.randn(16) * 0.5
gain2, shift2 = torch.rand(16) + 0.5, torch.randn(16) * 0.2
rm1, rv1, rm2, rv2 = torch.zeros(16), torch.ones(16), torch.zeros(16), torch.ones(16)
for step in range(500):
    rows = torch.randint(0, 400, (32,))
    z1 = X[rows] @ W1
    m1, v1 = z1.mean(0), z1.var(0)
    n1 = (z1 - m1) / (v1 + 1e-5).sqrt()
    h1 = torch.relu(gain1 * n1 + shift1)
    z2 = h1 @ W2
    m2, v2 = z2.mean(0), z2.var(0)
    n2 = (z2 - m2) / (v2 + 1e-5).sqrt()
    h2 = torch.relu(gain2 * n2 + shift2)
    logits = h2 @ W3
    loss = F.cross_entropy(logits, Y[rows])
    dlogits = (F.softmax(logits, 1) - F.one_hot(Y[rows], 2)) / 32
    dW3 = h2.T @ dlogits
    dout2 = (dlogits @ W3.T) * (h2 > 0)
    dgain2, dshift2 = (dout2 * n2).sum(0), dout2.sum(0)
    dn2 = dout2 * gain2
    dz2 = (dn2 - dn2.mean(0) - n2 * (dn2 * n2).sum(0) / 31) / (v2 + 1e-5).sqrt()
    dW2 = h1.T @ dz2
    dout1 = (dz2 @ W2.T) * (h1 > 0)
    dgain1, dshift1 = (dout1 * n1).sum(0), dout1.sum(0)
    %(running)s
    W3 = W3 - 0.1 * dW3
    gain2 = gain2 - 0.1 * dgain2
    shift2 = shift2 - 0.1 * dshift2
    W2 = W2 - 0.1 * dW2
    gain1 = gain1 - 0.1 * dgain1
    shift1 = shift1 - 0.1 * dshift1
a1 = X @ W1
%(calibration)s
def evaluate():
    k1 = torch.relu(gain1 * (a1 - cm1) / (cv1 + 1e-5).sqrt() + shift1)
    k2 = torch.relu(gain2 * (k1 @ W2 - cm2) / (cv2 + 1e-5).sqrt() + shift2)
    print(F.cross_entropy(k2 @ W3, Y).item())
evaluate()
"""
RIGHT_CALIBRATION = """
cm1, cv1 = a1.mean(0), a1.var(0)
a2 = torch.relu(gain1 * (a1 - cm1) / (cv1 + 1e-5).sqrt() + shift1) @ W2
cm2, cv2 = a2.mean(0), a2.var(0)
"""


def two(calibration: str, running: str = "") -> Report:
    text = TWO % {"running": running, "calibration": calibration}
    return report_on_source(text, select=("GC3",))


def test_two_layers_calibrated_one_after_the_other_are_right() -> None:
    report = two(RIGHT_CALIBRATION)
    assert codes(report) == []
    (use,) = (
        report.health.batch_norm.in_use
    )  # the first is given the statistics of the very data it normalises
    assert use.layer == 2


def test_a_calibration_without_the_first_normalisation_is_told_so() -> None:
    report = two(RIGHT_CALIBRATION.replace("gain1 * (a1 - cm1) / (cv1 + 1e-5).sqrt() + shift1", "a1"))
    assert set(codes(report)) == {"GC304"}
    finding = report.findings[0]
    assert finding.evidence["layer"] == 2
    assert "without the normalisation at line" in finding.message


def test_statistics_of_the_other_layer_are_told_so() -> None:
    running = "rm1, rv1 = 0.9 * rm1 + 0.1 * m1, 0.9 * rv1 + 0.1 * v1; rm2, rv2 = 0.9 * rm2 + 0.1 * m1, 0.9 * rv2 + 0.1 * v2"
    report = two("cm1, cv1, cm2, cv2 = rm1, rv1, rm2, rv2", running)
    assert codes(report) == ["GC304"]
    assert report.findings[0].evidence["of_layer"] == 1
    assert report.findings[0].evidence["layer"] == 2
    right = running.replace("rm2 + 0.1 * m1", "rm2 + 0.1 * m2")
    assert codes(two("cm1, cv1, cm2, cv2 = rm1, rv1, rm2, rv2", right)) == []


def all_rules(text: str) -> dict[str, str]:
    """Of every finding that speaks of batch normalisation or evaluation: its rule, and the source of its line."""
    found = report_on_source(text, fix_budget_s=0.0, select=("GC3", "GC5")).findings
    return {finding.rule: text.splitlines()[finding.location.line - 1].strip() for finding in found}


USED_WRONGLY = {
    "the variance for its root": "/ (var_ + 1e-5)",
    "the root of the root": "/ (var_ + 1e-5) ** 0.25",
    "multiplied": "* (var_ + 1e-5).sqrt()",
}


@pytest.mark.parametrize("scale", USED_WRONGLY.values(), ids=USED_WRONGLY)
def test_right_statistics_that_are_used_wrongly_are_a_fault_of_the_line_that_uses_them(scale: str) -> None:
    wrong = USE.replace("* (var_ + 1e-5) ** -0.5", scale)
    found = all_rules(program(after=CALIBRATE + wrong))
    assert list(found) == ["GC502"]
    assert found["GC502"].startswith("hidden =")


@pytest.mark.parametrize(
    ("calibration", "scale"),
    [
        ("sd_ = all_z.std(0)", "/ (sd_ + 1e-5)"),
        ("inverse_ = (((all_z - mean_) ** 2).sum(0) / 299 + 1e-5).rsqrt()", "* inverse_"),
        (
            "var_ = torch.stack([z.var(0) for z in all_z.split(50)]).mean(0)",
            "/ (1e-5 + var_) ** 0.5",
        ),
        ("var_ = (all_z**2).mean(0) - mean_**2", "/ torch.sqrt(var_ + 1e-5)"),
    ],
    ids=["deviation", "inverse", "in batches", "moments"],
)
def test_other_spellings_of_the_same_scale_are_right(calibration: str, scale: str) -> None:
    use = USE.replace("* (var_ + 1e-5) ** -0.5", scale)
    assert all_rules(program(after=f"all_z = X @ W1\nmean_ = all_z.mean(0)\n{calibration}\n{use}")) == {}


ONE_SAMPLE = """
for i in range(12):
    one = X[i : i + 1] @ W1
    scores = torch.tanh(gamma * (one - mean) * (var + 1e-5) ** -0.5 + beta) @ W2
    print(torch.multinomial(F.softmax(scores, 1), 1).item())
"""


def test_statistics_of_the_last_minibatch_are_a_warning_where_they_are_used() -> None:
    whole_split = USE.replace("mean_", "mean").replace("var_", "var")
    for use in (ONE_SAMPLE, whole_split):
        text = program(after=use)
        (finding,) = report_on_source(text, fix_budget_s=0.0, select=("GC3", "GC5")).findings
        assert (finding.rule, finding.severity) == ("GC304", "warning")
        assert "(var + 1e-5)" in text.splitlines()[finding.location.line - 1]
        assert (
            finding.message
            == "`mean` and `var` are from the last minibatch of the training, not from its data"
        )
        assert finding.notes[0].startswith("line 17 is right")


LAST_BATCH_AGAIN = USE.replace("X @ W1", "X[rows] @ W1").replace("mean_", "mean").replace("var_", "var")


def test_the_samples_of_the_last_minibatch_have_its_statistics() -> None:
    assert all_rules(program(after=LAST_BATCH_AGAIN.replace("W2, Y", "W2, Y[rows]"))) == {}


def test_a_mixed_statistic_that_the_training_normalises_by_is_no_last_minibatch() -> None:
    mixed = """\
mean = z.mean(0, keepdim=True)
var = z.var(0, keepdim=True)
running_mean = 0.9 * running_mean + 0.1 * mean
running_var = 0.9 * running_var + 0.1 * var
norm = (z - running_mean) * (running_var + 1e-5) ** -0.5"""
    found = all_rules(program(mixed, after=RUNNING_USE))
    assert "GC304" not in found
    assert "GC502" not in found


def test_the_batch_that_is_all_of_the_data_has_its_statistics() -> None:
    text = program(after=ONE_SAMPLE, batch=300).replace("torch.randint(0, 300, (300,))", "slice(None)")
    assert all_rules(text) == {}


IN_PLACE_OF_A_LAYER = """
centre, spread = (X @ W1).mean(0), (X @ W1).var(0)
h = X @ W1
for _ in range(1):
    h = gamma * (h - centre) * (spread + 1e-5) ** -0.5 + beta
print(F.cross_entropy(torch.tanh(h) @ W2, Y).item())
"""


def test_a_normalisation_that_looks_like_an_update_moves_no_parameter() -> None:
    training = program(after=IN_PLACE_OF_A_LAYER)
    assert all_rules(training) == {}
    same_name = training.replace("    norm = (z - mean) * (var + 1e-5) ** -0.5\n    out = gamma * norm + beta",
        "    norm = (z - mean) * (var + 1e-5) ** -0.5\n    z = gamma * norm + beta\n    out = z")  # fmt: skip
    assert same_name != training
    assert all_rules(same_name) == {}
