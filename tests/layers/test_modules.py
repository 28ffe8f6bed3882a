"""Modules that call a Function: autograd asks it for the gradients of the module's inputs as well."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradcheck


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return 0.5 * g * w, (g * x).sum(0)  # wrong


class Shuffle(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, groups):
        n, c, length = x.shape
        ctx.groups = groups
        return x.view(n, groups, c // groups, length).transpose(1, 2).reshape(n, c, length)

    @staticmethod
    def backward(ctx, g):
        n, c, length = g.shape
        # Wrong, and hidden by as many groups as there are channels in each.
        return g.view(n, ctx.groups, c // ctx.groups, length).transpose(1, 2).reshape(n, c, length), None


class Scaled(nn.Module):
    def __init__(self, n=4):
        super().__init__()
        self.w = nn.Parameter(torch.ones(n))

    def forward(self, x):
        return Scale.apply(x, self.w)


class Shuffled(nn.Module):
    def __init__(self, channels=6, num_groups=2):
        super().__init__()
        self.num_groups = num_groups
        self.w = nn.Parameter(torch.ones(channels, 1))

    def forward(self, x):
        return Shuffle.apply(x * self.w, self.num_groups)


@pytest.mark.parametrize("module", [Scaled, Shuffled])
def test_a_wrong_gradient_of_an_input_is_found(module):
    report = gradcheck.check_layer(module, fix_budget_s=0.0)
    assert report.failures, str(report)
    assert "is not the gradient of" in str(report)


class WithMask(torch.autograd.Function):
    """Its second output has a name that a gradient could have."""

    @staticmethod
    def forward(ctx, x):
        mask = (x > 0).to(x.dtype)
        ctx.mark_non_differentiable(mask)
        ctx.save_for_backward(mask)
        return x * mask, mask

    @staticmethod
    def backward(ctx, grad_out, grad_mask):
        (mask,) = ctx.saved_tensors
        return grad_out * mask


def test_what_arrives_for_an_output_that_is_not_differentiable_is_nobodys_gradient():
    report = gradcheck.check_layer(WithMask, fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)


class SignedRoot(torch.autograd.Function):
    """A step beside a smooth path does not excuse what is wrong of the smooth one."""

    @staticmethod
    def forward(ctx, x):
        r = torch.sqrt(x.abs() + 0.01)
        ctx.save_for_backward(r)
        return torch.sign(x) * r

    @staticmethod
    def backward(ctx, g):
        (r,) = ctx.saved_tensors
        return g * -0.5 / r  # wrong


class Fraction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        f = x - torch.floor(x)
        ctx.save_for_backward(f)
        return f * f

    @staticmethod
    def backward(ctx, g):
        (f,) = ctx.saved_tensors
        return g * f  # wrong


@pytest.mark.parametrize("function", [SignedRoot, Fraction])
def test_a_step_on_the_way_is_no_excuse(function):
    report = gradcheck.check_layer(function, fix_budget_s=0.0)
    assert report.failures, str(report)
