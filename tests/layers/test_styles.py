"""Layers as courses and libraries write them: right ones pass on every shape, wrong ones are found."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradcheck
from gradcheck.layers.definitions import layers_of
from tests.layers import styles

STYLES = [*layers_of(styles), ("Scaling", styles.Scaling)]
# Of the others, one in three is tried with every rank, and the rest with two dimensions.
OF_OTHER_RANKS = ("window", "peaks", "scan", "Inverted")


@pytest.mark.parametrize(("name", "layer"), STYLES, ids=[name for name, _ in STYLES])
def test_right_layers_of_every_style_pass(name, layer):
    every_rank = name.startswith(OF_OTHER_RANKS) or STYLES.index((name, layer)) % 3 == 0
    report = gradcheck.check_layer(layer, ranks=[] if every_rank else [2], fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)
    assert not report.failures
    assert report.summary["passed"] >= 6, str(report)


def relu_backward(dout, cache):
    return dout * (cache >= 0.5)  # wrong


def window_backward(dout, cache):
    """Hidden as long as windows do not overlap."""
    x, pool_param = cache
    size, stride = pool_param.get("pool_height", 2), pool_param.get("stride", 2)
    dx = torch.zeros_like(x)
    for i in range(dout.shape[2]):
        dx[:, :, i * stride : i * stride + size] = dout[:, :, i : i + 1]  # wrong
    return dx


def tanh_backward(dy, y):
    return dy * (1 - y)  # wrong


def linear_backward(dZ, cache):
    A_prev, W, b = cache
    dW = dZ @ A_prev.T
    db = dZ.mean(1, keepdim=True)  # wrong
    return W.T @ dZ, dW, db


class HandedNorm(styles.HandedNorm):
    def backward(self, dout):
        dx, _, db = super().backward(dout)
        dw = dout.sum(tuple(range(dout.dim() - 1)))  # wrong
        return dx, dw, db


class Halve(styles.Halve):
    """Hidden for even lengths: the padding is not cut off."""

    @staticmethod
    def backward(ctx, dy):
        dx = dy.repeat_interleave(2, -1)  # wrong
        return dx


class PerFeature(styles.PerFeature):
    @staticmethod
    def backward(ctx, grad_out):
        x, s = ctx.saved_tensors
        grad_s = (grad_out * x).mean(tuple(range(x.dim() - 1)))  # wrong
        return grad_out * s, grad_s


class Scaling(styles.Scaling):
    def forward(self, x):
        return PerFeature.apply(x, self.weight)


class Padded(nn.Module):
    """Hidden for a padding that is not 0: `0:-0` takes nothing."""

    def __init__(self, pad=1):
        super().__init__()
        self.pad = pad

    def forward(self, x):
        return nn.functional.pad(x, (self.pad, self.pad)).cumsum(-1)

    def backward(self, dout):
        dpadded = dout.flip(-1).cumsum(-1).flip(-1)
        dx = dpadded[..., self.pad : -self.pad]  # wrong
        return dx


class HardShrink(styles.HardShrink):
    def backward(self, dout):
        dx = dout.clone()
        dx[~self.small] = 0.0  # wrong
        return dx


class DoubledInPlace(styles.DoubledInPlace):
    """Right for what `forward` has made of its input, and wrong for the input."""

    @staticmethod
    def backward(ctx, dout):
        return dout.clone()  # wrong


class Largest(styles.Largest):
    @staticmethod
    def backward(ctx, dvalues, dplaces):
        (places,) = ctx.saved_tensors
        dx = dvalues.new_zeros(*dvalues.shape, ctx.width)
        return dx.scatter_(-1, places.unsqueeze(-1), 0.5 * dvalues.unsqueeze(-1))  # wrong


WRONG = [
    HardShrink,
    DoubledInPlace,
    Largest,
    (styles.relu_forward, relu_backward),
    (styles.window_forward, window_backward),
    (styles.tanh_forward, tanh_backward),
    (styles.linear_forward, linear_backward),
    HandedNorm,
    Halve,
    PerFeature,
    Scaling,
    Padded,
]


@pytest.mark.parametrize("layer", WRONG, ids=lambda one: getattr(one, "__name__", None) or one[1].__name__)
def test_wrong_layers_of_every_style_are_found_at_their_line(layer):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert report.exit_status == 1, str(report)
    assert all("# wrong" in str(f.report.findings[0] and report) for f in report.failures if f.report)
    assert "# wrong" in str(report)


def test_a_function_that_changes_nothing_is_not_judged():
    class Reversed(torch.autograd.Function):
        """What domain adaptation puts before its second head."""

        @staticmethod
        def forward(ctx, x, strength=0.5):
            ctx.strength = strength
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad):
            return -ctx.strength * grad, None

    report = gradcheck.check_layer(Reversed, fix_budget_s=0.0)
    assert not report.failures
    assert report.summary["not judged"] >= 6, str(report)
    assert "on purpose" in report.cases[0].reason


def test_a_fix_holds_for_every_shape_that_was_tried():
    class Scaled(torch.autograd.Function):
        """Right for squares alone."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2 / x.shape[1]

        @staticmethod
        def backward(ctx, dout):
            (x,) = ctx.saved_tensors
            rows, columns = dout.shape
            dx = 2 * x * dout / rows  # and not `rows + 1`, which fits three rows and four columns
            return dx

    report = gradcheck.check_layer(Scaled, ranks=[2], fix_budget_s=5.0)
    (finding,) = report.failures[0].report.findings
    assert finding.fix is not None
    assert finding.fix.replacement == "columns"
    assert finding.helps[-1].endswith("and run in all 7 cases")
    # The edit was undone.
    assert gradcheck.check_layer(Scaled, ranks=[2], fix_budget_s=0.0).exit_status == 1
