"""What autograd goes by is the place of a gradient in what `backward` returns, whatever it is called; and an argument that is
None by itself has a gradient too."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch.autograd import Function

import gradcheck
from gradcheck.layers.records import Status
from gradcheck.layers.report import LayerReport


def check(layer) -> LayerReport:
    return gradcheck.check_layer(layer, fix_budget_s=0.0)


def accused(layer) -> list[str]:
    """The lines that are told, without what is around them."""
    lines = []
    for failure in check(layer).failures:
        assert failure.report is not None
        (finding,) = failure.report.findings
        source = inspect.getsourcelines(inspect.getmodule(layer))[0]
        lines.append(source[finding.location.line - 1].strip())
    return lines


class Ratio(Function):
    @staticmethod
    def forward(ctx, top, under):
        ctx.save_for_backward(top, under)
        return top / (1 + under**2)

    @staticmethod
    def backward(ctx, dout):
        top, under = ctx.saved_tensors
        below = 1 + under**2
        d_top = dout / below
        d_under = -2 * dout * top * under / below**2
        return d_top, d_under


class Swapped(Ratio):
    @staticmethod
    def backward(ctx, dout):
        top, under = ctx.saved_tensors
        below = 1 + under**2
        d_top = dout / below
        d_under = -2 * dout * top * under / below**2
        return d_under, d_top


class Difference(Function):
    @staticmethod
    def forward(ctx, a, b):
        gap = torch.tanh(a - b)
        ctx.save_for_backward(gap)
        return gap

    @staticmethod
    def backward(ctx, dout):
        (gap,) = ctx.saved_tensors
        both = dout * (1 - gap**2)
        return both, -both


class OneSign(Difference):
    @staticmethod
    def backward(ctx, dout):
        (gap,) = ctx.saved_tensors
        both = dout * (1 - gap**2)
        return both, both


class Affine(Function):
    @staticmethod
    def forward(ctx, x, weight, bias=None):
        ctx.save_for_backward(x, weight)
        ctx.shifts = bias is not None
        out = x @ weight
        return out + bias if ctx.shifts else out

    @staticmethod
    def backward(ctx, dout):
        x, weight = ctx.saved_tensors
        db = dout.sum(0) if ctx.shifts else None
        return dout @ weight.T, x.T @ dout, db


class MeanBias(Affine):
    @staticmethod
    def backward(ctx, dout):
        x, weight = ctx.saved_tensors
        db = dout.mean(0) if ctx.shifts else None
        return dout @ weight.T, x.T @ dout, db


class PartByPart(Function):
    """Its upstream gradient comes in at the end: what is computed before is a part of the gradient, and none itself."""

    @staticmethod
    def forward(ctx, x):
        soft = torch.log1p(x.exp())
        ctx.save_for_backward(x, soft)
        return (soft**3).mean()

    @staticmethod
    def backward(ctx, dout):
        x, soft = ctx.saved_tensors
        dsoft = 3 * soft**2
        dx = dsoft * torch.sigmoid(x)
        return dout * dx / x.numel()


class PartLeftOut(PartByPart):
    @staticmethod
    def backward(ctx, dout):
        x, soft = ctx.saved_tensors
        dsoft = 3 * soft
        dx = dsoft * torch.sigmoid(x)
        return dout * dx / x.numel()


class Gate(Function):
    @staticmethod
    def forward(ctx, drive, carried):
        opened = torch.sigmoid(drive)
        ctx.save_for_backward(opened, carried)
        return torch.tanh(opened * carried)

    @staticmethod
    def backward(ctx, dout):
        opened, carried = ctx.saved_tensors
        dmixed = dout * (1 - torch.tanh(opened * carried) ** 2)
        dopened = dmixed * carried
        ddrive = dopened * opened * (1 - opened)
        dcarried = dmixed * opened
        return ddrive, dcarried


class OneStepEarly(Gate):
    """Every line is right; what is returned is the gradient of something that comes later."""

    @staticmethod
    def backward(ctx, dout):
        opened, carried = ctx.saved_tensors
        dmixed = dout * (1 - torch.tanh(opened * carried) ** 2)
        dopened = dmixed * carried
        ddrive = dopened * opened * (1 - opened)  # noqa: F841
        dcarried = dmixed * opened
        return dopened, dcarried


class Squash:
    def forward(self, x):
        self.y = torch.tanh(x)
        return self.y

    def backward(self, dout):
        slope = 1 - self.y**2
        dx = dout * slope
        return dx


class SlopeAlone(Squash):
    def backward(self, dout):
        slope = 1 - self.y**2
        dx = dout * slope  # noqa: F841
        return slope


class ArraySquash:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dout):
        slope = 1 - self.y**2
        dx = dout * slope  # noqa: F841
        return slope


class Centred:
    """With one feature, what is returned one step early has the shape and the place of nothing else."""

    def __init__(self, features):
        self.gain = torch.ones(features)

    def forward(self, x):
        self.xc = x - x.mean(-1, keepdim=True)
        return self.xc * self.gain

    def backward(self, dout):
        self.dgain = (dout * self.xc).sum(0)
        dxc = dout * self.gain
        dx = dxc - dxc.mean(-1, keepdim=True)  # noqa: F841
        return dxc


@pytest.mark.parametrize("layer", [Ratio, Difference, Affine, PartByPart, Gate, Squash])
def test_right_ones(layer):
    report = check(layer)
    assert not report.failures
    assert not report.never_judged


@pytest.mark.parametrize(
    ("layer", "lines"),
    [
        (Swapped, ["return d_under, d_top"]),
        (OneSign, ["return both, both"]),
        (MeanBias, ["db = dout.mean(0) if ctx.shifts else None"]),
        (OneStepEarly, ["return dopened, dcarried"]),
        (SlopeAlone, ["return slope"]),
        (ArraySquash, ["return slope"]),
        (Centred, ["return dxc"]),
    ],
)
def test_wrong_ones(layer, lines):
    assert accused(layer) == lines


class SwappedUnnamed(Ratio):
    @staticmethod
    def backward(ctx, dout):
        top, under = ctx.saved_tensors
        below = 1 + under**2
        return -2 * dout * top * under / below**2, dout / below


def test_what_is_returned_the_other_way_round_is_said_to_be():
    told = [finding for failure in check(SwappedUnnamed).failures for finding in failure.report.findings]
    assert [finding.notes[0] for finding in told] == [
        "it is the gradient of `under`; that of `top` belongs here",
        "it is the gradient of `top`; that of `under` belongs here",
    ]


def test_one_of_two_that_are_swapped_is_no_fix():
    """`return d_top, d_top` makes the first right, and leaves the second as wrong as it was."""
    (failure,) = gradcheck.check_layer(Swapped, fix_budget_s=5.0).failures
    assert failure.report is not None
    assert [finding.fix for finding in failure.report.findings] == [None]


def test_the_other_value_is_a_proved_fix():
    (failure,) = gradcheck.check_layer(OneStepEarly, fix_budget_s=5.0).failures
    assert failure.report is not None
    (fix,) = [finding.fix for finding in failure.report.findings]
    assert fix is not None
    assert fix.verified
    assert "return ddrive, dcarried" in fix.diff


def test_a_part_is_not_accused_beside_what_is_returned():
    assert len(accused(PartLeftOut)) == 1


class ClassLoss:
    """For one row of scores a sample. Three axes run, as `p[rows, targets]` picks whole vectors then."""

    def forward(self, logits, targets):
        raised = (logits - logits.max(1, keepdim=True).values).exp()
        self.p, self.targets = raised / raised.sum(1, keepdim=True), targets
        return -torch.log(self.p[torch.arange(len(targets)), targets]).mean()

    def backward(self):
        d = self.p.clone()
        d[torch.arange(len(self.targets)), self.targets] -= 1
        return d / len(self.targets)


def test_a_loss_for_classes_is_not_accused_for_ranks_that_run_by_accident():
    report = check(ClassLoss)
    assert not report.failures
    assert {case.rank for case in report.cases if case.status is Status.PASSED} == {2}


def flattening(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)


def flattening_backward(dout, cache):
    x, w, b = cache
    dw = x.reshape(len(x), -1).T @ dout
    return (dout @ w.T).reshape(x.shape), dw, dout.sum(0)


def left_flat(dout, cache):
    x, w, b = cache
    dw = x.reshape(len(x), -1).T @ dout
    return dout @ w.T, dw, dout.sum(0)


def test_a_weight_of_flattened_inputs():
    right = check((flattening, flattening_backward))
    assert not right.failures
    assert {case.rank for case in right.cases if case.status is Status.PASSED} == {2, 3, 4}
    (failure,) = check((flattening, left_flat)).failures
    assert failure.report is not None
    assert [finding.rule for finding in failure.report.findings] == ["GC106"]
