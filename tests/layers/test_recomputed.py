"""Backward passes that compute part of the forward pass once more, and have autograd go back through that; what a layer is
given to call is a function."""

import inspect

import pytest
import torch
from torch.autograd import Function

import gradcheck
from gradcheck.layers.records import Status
from tests.support import report_on_source


class Remembered(Function):
    @staticmethod
    def forward(ctx, block, x):
        ctx.block = block
        ctx.save_for_backward(x)
        with torch.no_grad():
            return block(x)

    @staticmethod
    def backward(ctx, up):
        (x,) = ctx.saved_tensors
        again = x.detach().requires_grad_()
        with torch.enable_grad():
            out = ctx.block(again)
        torch.autograd.backward(out, up)
        return None, again.grad


class Coupled(Function):
    """Reversible: what it was given is computed from what it gave."""

    @staticmethod
    def forward(ctx, left, right, first, second):
        with torch.no_grad():
            out_left = left + first(right)
            out_right = right + second(out_left)
        ctx.parts = first, second
        ctx.save_for_backward(out_left, out_right)
        return out_left, out_right

    @staticmethod
    def backward(ctx, up_left, up_right):
        first, second = ctx.parts
        out_left, out_right = (each.detach() for each in ctx.saved_tensors)
        out_left.requires_grad_()
        with torch.enable_grad():
            of_left = second.forward(out_left)
            of_left.backward(up_right)
        with torch.no_grad():
            right = out_right - of_left
            d_left = up_left + out_left.grad
        right.requires_grad = True
        with torch.enable_grad():
            of_right = first(right)
        (through,) = torch.autograd.grad(of_right, right, d_left)
        return d_left, up_right + through, None, None


class Uncoupled(Coupled):
    @staticmethod
    def backward(ctx, up_left, up_right):
        first, second = ctx.parts
        out_left, out_right = (each.detach() for each in ctx.saved_tensors)
        out_left.requires_grad_()
        with torch.enable_grad():
            of_left = second.forward(out_left)
            of_left.backward(up_right)
        d_left = up_left + out_left.grad
        right = (out_right - of_left).detach().requires_grad_()
        with torch.enable_grad():
            of_right = first(right)
        (through,) = torch.autograd.grad(of_right, right, up_left)
        d_right = up_right + through
        return d_left, d_right, None, None


class Settled(Function):
    """The gradient of a fixed point is a fixed point itself: what an iteration has not reached yet is no fault."""

    @staticmethod
    def forward(ctx, step, x):
        z = torch.zeros_like(x)
        for _ in range(40):
            z = 0.4 * step(z) + x
        ctx.step = step
        ctx.save_for_backward(z)
        return z

    @staticmethod
    def backward(ctx, up):
        z = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            out = 0.4 * ctx.step(z)
        found = up
        for _ in range(40):
            found = torch.autograd.grad(out, z, found, retain_graph=True)[0] + up
        return None, found


@pytest.mark.parametrize("layer", [Remembered, Coupled, Settled])
def test_what_autograd_gives_for_what_was_computed_again_is_judged(layer):
    report = gradcheck.check_layer(layer, ranks=(2,), fix_budget_s=0.0)
    assert {case.status for case in report.cases} == {Status.PASSED, Status.NOT_TRIED}, str(report)


def test_a_term_that_is_dropped_there_is_told_at_its_line():
    report = gradcheck.check_layer(Uncoupled, ranks=(2,), fix_budget_s=0.0)
    (failure,) = report.failures
    (finding,) = failure.report.findings
    assert "`right`" in finding.message
    lines = inspect.getsource(inspect.getmodule(Uncoupled)).splitlines()
    assert lines[finding.location.line - 1].strip() == "d_right = up_right + through"


def test_weights_that_are_computed_before_are_there_when_it_is_computed_again():
    report = report_on_source("""
        import torch

        torch.manual_seed(1)
        weights = torch.randn(4, 4) * 0.5

        class Block(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return torch.tanh(x @ weights)

            @staticmethod
            def backward(ctx, up):
                with torch.enable_grad():
                    x = ctx.saved_tensors[0].detach().requires_grad_()
                    out = torch.tanh(x @ weights)
                return torch.autograd.grad(out, x, up)

        x = torch.randn(3, 4, requires_grad=True)
        loss = (Block.apply(x) * torch.randn(3, 4)).sum()
        loss.backward()
    """)
    assert list(report.gradients.verdict) == ["correct"]


def test_parameters_that_were_made_after_what_is_asked_for_are_moved_too():
    report = report_on_source("""
        import torch

        torch.manual_seed(2)
        x = torch.randn(5, 4, requires_grad=True)
        weights = torch.randn(4, 3, requires_grad=True)
        out = torch.sin(x @ weights)
        up = torch.randn(5, 3)
        gx, gW = torch.autograd.grad(out, (x, weights), up)
        d_out = up * torch.cos(x @ weights)
        dW = x.T @ d_out
        print(torch.allclose(dW, gW))
    """)
    assert set(report.gradients.verdict) == {"correct"}
