"""A loss that computes its gradients along with itself does not know yet what arrives: only what hands them back is to
multiply with it."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch.autograd import Function

import gradcheck


def accused(layer) -> set[str]:
    """The lines that are told, without what is around them."""
    lines = set()
    for failure in gradcheck.check_layer(layer, fix_budget_s=0.0).failures:
        assert failure.report is not None
        (finding,) = failure.report.findings
        source = inspect.getsourcelines(inspect.getmodule(layer))[0]
        lines.add(source[finding.location.line - 1].strip())
    return lines


class HeadLoss(Function):
    """The last layer and the cross-entropy at once."""

    @staticmethod
    def forward(ctx, h, w, target):
        rows = torch.arange(len(h))
        dz = torch.softmax(h @ w.t(), 1)
        loss = -dz[rows, target].log().mean()
        dz = dz.clone()
        dz[rows, target] -= 1
        dz = dz / len(h)
        ctx.save_for_backward(dz @ w, dz.t() @ h)
        return loss

    @staticmethod
    def backward(ctx, up):
        dh, dw = ctx.saved_tensors
        return up * dh, up * dw, None


class OneUnscaled(HeadLoss):
    @staticmethod
    def backward(ctx, up):
        dh, dw = ctx.saved_tensors
        return up * dh, dw, None  # wrong


class Summed(HeadLoss):
    @staticmethod
    def forward(ctx, h, w, target):
        rows = torch.arange(len(h))
        logits = h @ w.t()
        loss = torch.nn.functional.cross_entropy(logits, target)
        dlogits = torch.softmax(logits, 1)
        dlogits[rows, target] -= 1  # not divided
        dh = dlogits @ w
        ctx.save_for_backward(dh, dlogits.t() @ h)
        return loss


@pytest.mark.parametrize(
    ("layer", "lines"),
    [
        (HeadLoss, set()),
        (OneUnscaled, {"return up * dh, dw, None  # wrong"}),
        (Summed, {"dlogits[rows, target] -= 1  # not divided"}),
    ],
)
def test_what_is_computed_before_the_upstream_gradient_is_that_of_the_loss_itself(layer, lines):
    assert accused(layer) == lines
