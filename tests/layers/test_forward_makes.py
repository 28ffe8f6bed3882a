"""What a forward pass makes for itself: constants are no parameters, and what it returns is handed back under its name."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import Function

import gradcheck
from gradcheck.layers.records import Status


class NewtonStep(Function):
    """The gradient of what is in the brackets is that of the constant too."""

    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        three = 3.0 * torch.eye(a.shape[-1], dtype=a.dtype).repeat(len(a), 1, 1)
        return 0.5 * a.bmm(three - a.bmm(a))

    @staticmethod
    def backward(ctx, dy):
        (a,) = ctx.saved_tensors
        back = a.transpose(1, 2)
        three = 3.0 * torch.eye(a.shape[-1], dtype=a.dtype).repeat(len(a), 1, 1)
        d_inner = 0.5 * back.bmm(dy)
        da = 0.5 * dy.bmm((three - a.bmm(a)).transpose(1, 2))
        return da - d_inner.bmm(back) - back.bmm(d_inner)


def test_a_constant_of_the_forward_pass_is_no_parameter():
    assert gradcheck.check_layer(NewtonStep, fix_budget_s=0.0).exit_status == 0


def attend(q, k, v):
    scores = q @ k.t()
    lse = torch.logsumexp(scores, 1)
    out = torch.softmax(scores, 1) @ v
    return out, lse


def attend_backward(q, k, v, out, dout, lse):
    p = torch.exp(q @ k.t() - lse[:, None])
    ds = p * (dout @ v.t() - (dout * out).sum(1, keepdim=True))
    return ds @ k, ds.t() @ q, p.t() @ dout


def test_backward_is_handed_what_forward_returned_under_that_name():
    assert gradcheck.check_layer((attend, attend_backward), fix_budget_s=0.0).exit_status == 0


class CoupledSteps(Function):
    """Two sequences of matrices, each of which is kept in a buffer. Right for symmetric matrices alone."""

    @staticmethod
    def forward(ctx, a):
        n, d, _ = a.shape
        Y = torch.zeros(n, 2, d, d, dtype=a.dtype)
        Z = torch.eye(d, dtype=a.dtype).repeat(n, 2, 1, 1)
        both = 0.5 * (3 - a)
        Y[:, 0] = a.bmm(both)
        Z[:, 0] = both
        ctx.save_for_backward(a, Y, Z)
        return 0.5 * Y[:, 0].bmm(3 - Z[:, 0].bmm(Y[:, 0]))

    @staticmethod
    def backward(ctx, up):
        a, Y, Z = ctx.saved_tensors
        dldY = 0.5 * (up.bmm(3 - Y[:, 0].bmm(Z[:, 0])) - Z[:, 0].bmm(Y[:, 0]).bmm(up))
        dldZ = -0.5 * Y[:, 0].bmm(up).bmm(Y[:, 0])
        return 0.5 * (dldY.bmm(3 - a) - dldZ - a.bmm(dldY))


def test_the_gradient_of_a_slice_is_not_held_to_the_shape_of_the_buffer():
    report = gradcheck.check_layer(CoupledSteps, fix_budget_s=0.0)
    findings = [finding for failure in report.failures for finding in failure.report.findings]
    assert {finding.rule for finding in findings} == {"GC101"}


class Bounded(Function):
    """Straight through."""

    @staticmethod
    def forward(ctx, x, low, high):
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, up):
        return up, None, None


class BoundedWithoutMask(Bounded):
    @staticmethod
    def backward(ctx, up):
        return up * 1.0, None, None


class Reversed(Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.clone()

    @staticmethod
    def backward(ctx, up):
        return -ctx.strength * up, None


@pytest.mark.parametrize("layer", [Bounded, Reversed])
def test_what_a_function_is_there_for_is_not_accused(layer):
    cases = gradcheck.check_layer(layer, fix_budget_s=0.0).cases
    assert {case.status for case in cases} == {Status.NOT_JUDGED, Status.NOT_TRIED}
    assert any("on purpose" in case.reason for case in cases)
    assert gradcheck.check_layer(BoundedWithoutMask, fix_budget_s=0.0).exit_status == 1


class AddNorm(Function):
    @staticmethod
    def forward(ctx, x, residual):
        both = x + residual
        size = both.norm(dim=-1, keepdim=True)
        ctx.save_for_backward(both, size)
        return both / size

    @staticmethod
    def backward(ctx, dy):
        both, size = ctx.saved_tensors
        return dy / size - both * (dy * both).sum(-1, keepdim=True) / size**3, None


def test_a_gradient_that_is_none_is_said_not_to_be_checked():
    report = gradcheck.check_layer(AddNorm, fix_budget_s=0.0)
    assert list(report.never_judged) == ["d_residual"]


class Rotary(Function):
    """The tables have a row for each step, and half of the features."""

    @staticmethod
    def forward(ctx, x, cos, sin):
        cos, sin = cos[None, :, None], sin[None, :, None]
        ctx.save_for_backward(cos, sin)
        one, two = x.chunk(2, dim=-1)
        return torch.cat([one * cos - two * sin, one * sin + two * cos], -1)

    @staticmethod
    def backward(ctx, up):
        cos, sin = ctx.saved_tensors
        one, two = up.chunk(2, dim=-1)
        return torch.cat([one * cos + two * sin, two * cos - one * sin], -1), None, None


def test_tables_for_pairs_of_features_are_found():
    report = gradcheck.check_layer(Rotary, fix_budget_s=0.0)
    assert report.exit_status == 0
    assert not report.never_judged


class Levels(Function):
    """`k` is the name of keys, and here a number."""

    @staticmethod
    def forward(ctx, x, alpha, k):
        ctx.save_for_backward(x, alpha)
        ctx.power = k
        return x * alpha**k

    @staticmethod
    def backward(ctx, up):
        x, alpha = ctx.saved_tensors
        dalpha = (up * x * ctx.power * alpha ** (ctx.power - 1)).sum_to_size(alpha.shape)
        return up * alpha**ctx.power, dalpha, None


def test_what_may_be_a_number_and_gets_no_gradient_is_one():
    report = gradcheck.check_layer(Levels, fix_budget_s=0.0)
    assert report.exit_status == 0
    assert not report.never_judged
