"""Layers of NumPy: right ones pass on every shape, wrong ones are found at their line."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import gradcheck
from gradcheck.layers.definitions import layers_of
from tests.layers import numpy_right, numpy_wrong

RIGHT = dict(layers_of(numpy_right))
HERE = Path(numpy_wrong.__file__)


def wrong_ones():
    """Classes and functions of numpy_wrong.py; what is only a backward pass goes with the forward pass of the right one."""
    for name, thing in vars(numpy_wrong).items():
        if getattr(thing, "__module__", None) != numpy_wrong.__name__:
            continue
        if name.endswith("_backward"):
            forward = name.removesuffix("_gamma_backward").removesuffix("_backward")
            known = vars(numpy_right)
            yield name, (known.get(f"{forward}_forward", known.get(forward)), thing)
        else:
            yield name, thing


WRONG = dict(wrong_ones())
SMALL = {"conv": ["2,2,3,3", "2,2,2,2", "2"]}  # every place by itself: thousands of operations
OF_OTHER_RANKS = (
    "conv",
    "max_pool",
    "StridedPool",
    "Convolution",
    "Recurrent",
    "OneRowAtATime",
    "group_scale",
)


def ranks_of(name, names):
    """One in four is tried with every rank: what ranks differ in does not depend on the layer."""
    if "max_pool" in name and names is WRONG:
        return [4]
    return [] if name.startswith(OF_OTHER_RANKS) or [*names].index(name) % 4 == 0 else [2]


@pytest.mark.parametrize("name", RIGHT)
def test_right_layers_pass(name):
    inputs = SMALL.get(name.partition("_")[0], [])
    report = gradcheck.check_layer(RIGHT[name], inputs=inputs, ranks=ranks_of(name, RIGHT), fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)
    assert not report.failures
    assert report.summary["passed"] >= 5, str(report)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_layers_are_found_at_their_line(name):
    layer = WRONG[name]
    inputs = SMALL.get(name.partition("_")[0], [])
    report = gradcheck.check_layer(layer, inputs=inputs, ranks=ranks_of(name, WRONG), fix_budget_s=0.0)
    assert report.exit_status == 1, str(report)
    lines = HERE.read_text().splitlines()
    source, first = inspect.getsourcelines(layer[1] if isinstance(layer, tuple) else layer)
    planted = [first + n for n, line in enumerate(source) if line.endswith("# wrong\n")]
    told = {failure.report.findings[0].location.line for failure in report.failures if failure.report}
    assert told == set(planted), (
        f"{sorted(told)} and not {planted} ({lines[planted[0] - 1].strip()})\n{report}"
    )


class EitherOf:
    """`dvalues` may be the upstream gradient, or what was predicted once more."""

    def forward(self, y_pred, y_true):
        self.d = y_pred - y_true
        return np.sum(self.d**2)

    def backward(self, dvalues, y_true):
        self.dinputs = dvalues * 2 * self.d


class Decayed:
    """Weight decay is no part of what a layer's upstream gradient says."""

    def __init__(self, n_in, n_out, rate=0.01):
        self.W, self.b = np.random.randn(n_in, n_out) * 0.1, np.zeros(n_out)
        self.rate = rate

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout + self.rate * self.W
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class DecayedNeverSummed(Decayed):
    def backward(self, dout):
        self.dW = self.x.T @ dout + self.rate * self.W
        self.db = dout
        return dout @ self.W.T


class Normalised:
    """For rows of features: a gradient of the shape (1, n) has no other there."""

    def __init__(self, n):
        self.gamma, self.beta = np.ones((1, n)), np.zeros((1, n))

    def forward(self, x):
        self.scale = 1 / np.sqrt(x.var(axis=0, keepdims=True) + 1e-5)
        self.hat = (x - x.mean(axis=0, keepdims=True)) * self.scale
        return self.gamma * self.hat + self.beta

    def backward(self, dout, rate):
        dgamma = np.sum(dout * self.hat, axis=0, keepdims=True)
        dbeta = np.sum(dout, axis=0, keepdims=True)
        dhat = dout * self.gamma
        mean = dhat.mean(axis=0, keepdims=True) + self.hat * (dhat * self.hat).mean(axis=0, keepdims=True)
        self.gamma, self.beta = self.gamma - rate * dgamma, self.beta - rate * dbeta
        return self.scale * (dhat - mean)


def cell_forward(x, h, W, U, aim):
    h = np.tanh(x @ W + h @ U)
    loss = 0.5 * np.sum((h - aim) ** 2)
    return h, loss, (x, h, W, U, aim)


def cell_backward(dh, cache):
    x, h, W, U, aim = cache
    dz = (dh + h - aim) * (1 - h**2)
    return dz @ W.T, dz @ U.T, x.T @ dz


class TwoOutputs:
    def forward(self, x):
        self.z = x * 2
        self.a = np.tanh(self.z)

    def backward(self, da):
        self.dx = 2 * da * (1 - self.a**2)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (
            EitherOf,
            "it is unclear whether `dvalues` is the upstream gradient or the prediction again",
        ),
        (
            TwoOutputs,
            "`forward` returns nothing, and which of `self.z`, `self.a` is its output cannot be told",
        ),
    ],
)
def test_what_cannot_be_told_accuses_nobody(layer, why):
    if layer is TwoOutputs:
        with pytest.raises(gradcheck.NothingToCheckError, match=why):
            gradcheck.check_layer(layer, fix_budget_s=0.0)
        return
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert report.exit_status == 2
    assert not report.failures
    assert why in str(report.cases)


def mean_forward(A, W, b):
    return W @ A + b, (A, W)


def mean_backward(dZ, cache):
    A, W = cache
    m = A.shape[1]
    dW = 1 / m * dZ @ A.T
    db = 1 / m * np.sum(dZ, axis=1, keepdims=True)
    return W.T @ dZ, dW, db


def half_mean_backward(dZ, cache):
    A, W = cache
    return W.T @ dZ, dZ @ A.T, dZ.mean(axis=1, keepdims=True)


def test_a_mean_over_the_rows_for_every_parameter_is_left_open():
    """Whether the upstream gradient is divided by their number, a layer alone does not show."""
    report = gradcheck.check_layer((mean_forward, mean_backward), fix_budget_s=0.0)
    assert not report.failures
    several = next(case for case in report.cases if case.name == "several rows")
    assert several.gradients["dW"] == several.gradients["db"] == "unchecked"
    assert "mean over the rows" in several.reason
    # A batch of one passes, and says nothing of it.
    assert report.exit_status == 1
    assert set(report.never_judged) == {"dW", "db"}
    assert "Not checked in any case: `dW` and `db`: it is the mean" in " ".join(str(report).split())
    half = gradcheck.check_layer((mean_forward, half_mean_backward), fix_budget_s=0.0)
    assert len(half.failures) == 1


def all_means_backward(dZ, cache):
    A, W = cache
    m = A.shape[1]
    dW = 1 / m * dZ @ A.T
    db = 1 / m * np.sum(dZ, axis=1, keepdims=True)
    dA = W.T @ dZ / m
    return dA, dW, db


def divided_first_backward(dZ, cache):
    A, W = cache
    dZ = dZ / A.shape[1]
    return W.T @ dZ, dZ @ A.T, dZ.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("backward", "line"), [(all_means_backward, 5), (divided_first_backward, 2)], ids=["each", "first"]
)
def test_a_mean_for_every_parameter_is_left_open_beside_another_fault(backward, line):
    report = gradcheck.check_layer((mean_forward, backward), fix_budget_s=0.0)
    lines = [failure.report.findings[0].location.line for failure in report.failures]
    assert lines == [backward.__code__.co_firstlineno + line]


class GuardedTwice:
    def forward(self, scores, labels):
        self.scores, self.labels = scores, labels
        return -np.log(self.probabilities()[np.arange(len(labels)), labels]).mean()

    def probabilities(self):
        shifted = self.scores - self.scores.max(axis=1, keepdims=True)
        return np.exp(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True) + 1e-12))

    def backward(self):
        d = self.probabilities()
        d[np.arange(len(self.labels)), self.labels] -= 1
        return d / len(self.labels)


class KeptIfTrained:
    def __init__(self, n_in, n_out):
        self.W, self.kept = np.random.randn(n_in, n_out), None

    def forward(self, x, training=False):
        if training:
            self.kept = x
        return x @ self.W

    def backward(self, dout):
        self.dW = self.kept.T @ dout
        return dout @ self.W.T


class OfColumns:
    def __init__(self, n_in, n_out):
        self.weights, self.biases = np.random.randn(n_in, n_out), np.random.randn(n_out, 1)

    def forward(self, x):
        z = self.weights.T @ x + self.biases
        return z, np.tanh(z)

    def backward(self, layer_input, grad_z, z):
        grad_weight = layer_input @ grad_z.T
        grad_bias = np.sum(grad_z, axis=1, keepdims=True)
        grad_x = self.weights @ grad_z
        return grad_weight, grad_bias, grad_x


@pytest.mark.parametrize("layer", [GuardedTwice, KeptIfTrained, OfColumns])
def test_what_is_as_right_as_it_can_be_is_judged_right(layer):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert not report.failures
    assert {*report.cases[0].gradients.values()} == {"correct"}


class DerivativeAlone:
    def forward(self, x):
        return 1 / (1 + np.exp(-x))

    def backward(self, x):
        return self.forward(x) * (1 - self.forward(x))


class OfTheOther:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out)

    def forward(self, x):
        z = x @ self.W
        return z, np.maximum(z, 0)

    def backward(self, layer_input, grad_h, h):
        dz = grad_h * (h > 0)
        self.dW = layer_input.T @ dz
        return dz @ self.W.T


@pytest.mark.parametrize(
    ("layer", "why"), [(DerivativeAlone, "a derivative alone"), (OfTheOther, "of which output `grad_h` is")]
)
def test_what_may_be_no_gradient_that_arrives_accuses_nobody(layer, why):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert (report.exit_status, report.failures) == (2, [])
    assert why in str(report.cases)


class Parameter:
    def __init__(self, data):
        self.data = data

    @property
    def T(self):
        return self.data.T


class TwiceThroughAProperty:
    def __init__(self, n_in, n_out):
        self.w = Parameter(np.random.randn(n_in, n_out))

    def forward(self, x):
        self.x = x
        return x @ self.w.data

    def backward(self, grad):
        self.dw = self.x.T @ grad
        return 2 * np.dot(grad, self.w.T)


def test_no_factor_is_put_to_what_is_no_gradient_where_its_own_line_is_not_understood():
    (failure,) = gradcheck.check_layer(TwiceThroughAProperty).failures
    (finding,) = failure.report.findings
    assert finding.fix is None
    assert finding.location.line == TwiceThroughAProperty.backward.__code__.co_firstlineno + 2


class AfterASigmoid(numpy_right.LossOfProbabilities):
    def backward(self):
        return self.p - self.y


class AfterASoftmax:
    def forward(self, y_pred, y_true):
        self.y_pred, self.y_true = np.clip(y_pred, 1e-12, 1 - 1e-12), y_true
        return -np.sum(y_true * np.log(self.y_pred)) / len(y_pred)

    def backward(self):
        return (self.y_pred - self.y_true) / len(self.y_pred)


class Merged:
    """What a class is multiplied with is one of its numbers: labels of the same shape."""

    def forward(self, y_true, y_pred):
        return -np.sum(y_true * np.log(np.clip(y_pred, 1e-15, 1 - 1e-15)))

    def backward(self, y_true, y_pred):
        return y_pred - y_true


class BeforeItsLoss:
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def backward(self, dout):
        return dout


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Merged, "what a softmax turns into `y_pred`: right where one comes in front of this loss"),
        (BeforeItsLoss, "right where the loss behind this softmax returns the gradient of `x`"),
        (AfterASigmoid, "what a sigmoid turns into `p`, times the number of the elements"),
        (AfterASoftmax, "what a softmax turns into `y_pred`: right where one comes in front of this loss"),
    ],
)
def test_the_derivative_of_what_may_come_in_front_of_a_loss_is_left_open(layer, why):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert not report.failures
    (reason,) = report.never_judged.values()
    assert why in reason


class Upward(numpy_right.LossOfProbabilities):
    def backward(self):
        return (self.y - self.p) / (self.p * (1 - self.p)) / self.p.size


def test_a_line_that_reads_a_size_is_fixed():
    (failure,) = gradcheck.check_layer(Upward, ranks=[2], fix_budget_s=10.0).failures
    (finding,) = failure.report.findings
    assert finding.fix is not None
    assert finding.fix.verified


def test_a_layer_for_one_row_is_checked_on_one():
    report = gradcheck.check_layer(numpy_right.OneRowAtATime, fix_budget_s=0.0)
    assert {case.shapes[0] for case in report.cases if case.status == "passed"} == {"1,4", "1,1", "1,7"}
    assert [case.reason for case in report.cases if case.rank == 2 and case.status == "not run"] == [
        "`backward`, which is for one row, raises"
    ]


def test_weight_decay_in_the_line_of_the_gradient_is_no_fault_and_hides_none():
    report = gradcheck.check_layer(Decayed, fix_budget_s=0.0)
    assert not report.failures
    assert "weight decay" in report.never_judged["self.dW"]
    (failure,) = gradcheck.check_layer(DecayedNeverSummed, fix_budget_s=0.0).failures
    assert failure.report.findings[0].message == "`self.db` does not have the shape of `self.b`"


def test_a_layer_for_rows_of_features_is_not_accused_for_what_broadcasting_makes_of_images():
    report = gradcheck.check_layer(Normalised, fix_budget_s=0.0)
    assert not report.failures
    assert {case.rank for case in report.cases if case.status == "unsupported"} == {3, 4}


def test_a_loss_beside_the_output_counts_as_it_is():
    shapes = [(3, 4), (3, 5), (4, 5), (5, 5), (3, 5)]
    report = gradcheck.check_layer((cell_forward, cell_backward), inputs=shapes, fix_budget_s=0.0)
    assert not report.failures
    assert report.exit_status == 0
