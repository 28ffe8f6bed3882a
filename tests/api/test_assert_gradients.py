"""One line guards a layer: right ones pass, wrong ones fail at their own line, and nothing passes unseen."""

from __future__ import annotations

import inspect
import math

import pytest
import torch

import gradcheck
from gradcheck.base.errors import GradientError
from tests.api import layers

X, Y = torch.randn(6, 4), torch.randn(6, 4)
TARGETS = torch.randint(0, 4, (6,))


@pytest.mark.parametrize(
    ("layer", "inputs", "count"),
    [
        (layers.Linear(4, 3), (X,), 3),
        (layers.Linear(4, 4), (X,), 3),
        (layers.Relu(), (X,), 1),
        (layers.ReluInPlace(), (X,), 1),
        (layers.Identity(), (X,), 1),
        (layers.Product(), (X, Y), 2),
        (layers.ParametersFirst(4, 4), (torch.randn(4, 4),), 3),
        (layers.Cached(), (X, torch.ones(4)), 2),
        (layers.CrossEntropy(), (X, TARGETS), 1),
        (layers.Split(), (X,), 1),
    ],
    ids=lambda x: type(x).__name__,
)
def test_right_layers_pass_and_every_gradient_was_looked_at(layer, inputs, count):
    report = gradcheck.assert_gradients(layer, *inputs)
    assert [row.verdict.value for row in report.rows].count("correct") >= count
    assert not report.findings


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (layers.UntransposedLinear(4, 4), (X,)),
        (layers.BiasOfMean(4, 3), (X,)),
        (layers.ReluHandedOn(), (X,)),
        (layers.ProductSwapped(), (X, Y)),
        (layers.Dictionaries(), (X,)),
        (layers.ParametersFirstWrong(4, 4), (X,)),
        (layers.CrossEntropySummed(), (X, TARGETS)),
        (layers.SplitWrong(), (X,)),
        (layers.Scale(4), (X,)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_wrong_layers_fail_at_their_own_line(layer, inputs):
    with pytest.raises(GradientError) as raised:
        gradcheck.assert_gradients(layer, *inputs)
    lines, first = inspect.getsourcelines(type(layer).backward)
    wrong = next((n for n, line in enumerate(lines, first) if "wrong" in line), None)
    told = str(raised.value)
    assert "error[GC10" in told
    assert told.count("error[") == 1
    places = [int(line.rsplit(":", 2)[1]) for line in told.splitlines() if "--> " in line]
    if type(layer) is layers.CrossEntropySummed:  # the edit is at the line that computes it, or hands it on
        assert first <= places[0] <= wrong
    else:
        assert places == [wrong]
    assert "^^" in told


def test_a_gradient_that_is_stored_but_never_computed_fails():
    with pytest.raises(
        GradientError, match=r"`self\.db` could not be checked: `backward` did not compute it"
    ):
        gradcheck.assert_gradients(layers.BiasForgotten(4, 3), X)


def test_a_layer_without_any_gradient_fails():
    with pytest.raises(GradientError, match="no gradient of Silent was checked"):
        gradcheck.assert_gradients(layers.Silent(4, 3), X)


def step(x, W, times=2):
    loss = ((x @ W) ** 2).sum()
    dW = times * x.T @ (x @ W)
    return loss, dW


def test_a_callable_is_called_once_with_its_arguments():
    calls = []

    def counted(x, W, times):
        calls.append(times)
        return step(x, W, times)

    gradcheck.assert_gradients(counted, X, torch.randn(4, 3), times=2)
    with pytest.raises(GradientError, match="`dW` is not the gradient of `W`"):
        gradcheck.assert_gradients(counted, X, torch.randn(4, 3), times=3)
    assert calls == [2, 3]


def test_it_raises_an_assertion_error_of_the_public_name():
    assert issubclass(gradcheck.GradientError, AssertionError)
    assert issubclass(gradcheck.GradientError, gradcheck.GradcheckError)
    assert gradcheck.GradientError.__module__ == "gradcheck"


@pytest.mark.parametrize("target", [layers.Linear, 3])
def test_what_cannot_be_a_target_is_told(target):
    with pytest.raises(TypeError, match="assert_gradients takes an object with forward and backward"):
        gradcheck.assert_gradients(target, X)


def test_what_the_layer_raises_is_raised():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        gradcheck.assert_gradients(layers.Linear(5, 3), X)
    gradcheck.assert_gradients(layers.Linear(4, 3), X)  # and the next one is recorded as ever


def test_the_random_numbers_of_the_test_are_its_own():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    gradcheck.assert_gradients(layers.Relu(), X)
    assert torch.equal(torch.rand(3), expected)


class _OnNumbers:
    """The slope of erf, number by number in Python."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x):
        self.x = x
        return torch.erf(x)

    def backward(self, dy):
        slopes = [self.factor * math.exp(-v * v) for v in self.x.flatten().tolist()]
        return dy * torch.tensor(slopes).reshape(self.x.shape)


class _InOneStatement(_OnNumbers):
    def backward(self, dy):
        return dy * torch.tensor([[self.factor * math.exp(-v * v) for v in row] for row in self.x.tolist()])


@pytest.mark.parametrize("layer", [_OnNumbers, _InOneStatement])
def test_numbers_that_left_torch_and_came_back_prove_nothing_elsewhere(layer: type[_OnNumbers]) -> None:
    """A replay at another point would keep them."""
    gradcheck.assert_gradients(layer(2 / math.pi**0.5), torch.randn(3, 4))
    with pytest.raises(gradcheck.GradientError, match="GC101"):
        gradcheck.assert_gradients(layer(1.0), torch.randn(3, 4))
