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
