"""A loss that computes its gradients along with itself does not know yet what arrives: only what hands them back is to
multiply with it."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch.autograd import Function

import gradcheck
from gradcheck.layers.records import Status


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


def hinge_loss(W, X, y, reg):
    """What is added up in place is all of the loss, not its first term."""
    loss, dW = 0.0, torch.zeros_like(W)
    for i in range(len(X)):
        scores = W.t().mv(X[i])
        for j in range(W.shape[1]):
            margin = scores[j] - scores[y[i]] + 1
            if j != y[i] and margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    loss /= len(X)
    dW /= len(X)
    loss += reg * (W * W).sum()
    dW += 2 * reg * W
    return loss, dW


def hinge_loss_without_decay(W, X, y, reg):
    loss, dW = hinge_loss(W, X, y, 0.0)
    loss += reg * (W * W).sum()
    dW = dW + reg * W  # wrong
    return loss, dW


def test_a_loss_that_is_added_up_in_place():
    assert accused(hinge_loss) == set()
    assert accused(hinge_loss_without_decay) == {"dW = dW + reg * W  # wrong"}


class Rows:
    """Its dict is read by a method of another class; the sizes of an image are a default."""

    def __init__(self, input_dim=(3, 8, 8)):
        self.w = torch.randn(input_dim[0] * input_dim[1] * input_dim[2], 2)

    def forward(self, x):
        self.x = x
        return x.reshape(len(x), -1) @ self.w

    def backward(self, dout):
        self.dw = self.x.reshape(len(self.x), -1).T @ dout
        return (dout @ self.w.T).reshape(self.x.shape)


class Scaling:
    @staticmethod
    def forward(x, scale_param):
        scale = scale_param["scale"]
        return x * scale, (scale,)

    @staticmethod
    def backward(dout, cache):
        return dout * cache[0]


def channels_forward(x, scale_param):
    flat = x.reshape(len(x), -1)
    out, cache = Scaling.forward(flat, scale_param)
    return out.reshape(x.shape), cache


def channels_backward(dout, cache):
    flat = dout.reshape(len(dout), -1)
    return Scaling.backward(flat, cache).reshape(dout.shape)


def test_sizes_and_keys_that_are_read_elsewhere_are_found():
    for layer in (Rows, (channels_forward, channels_backward)):
        report = gradcheck.check_layer(layer, fix_budget_s=0.0)
        assert any(case.status is Status.PASSED for case in report.cases), str(report)


def stacked_loss(params, X, y):
    """Of the weights in a dict, each takes what the one before gives."""
    W1, W2, shift = params["W1"], params["W2"], params["b2"]
    hidden = torch.tanh(X @ W1)
    dz = torch.softmax(hidden @ W2 + shift, 1)
    rows = torch.arange(len(X))
    loss = -dz[rows, y].log().mean()
    dz = dz.clone()
    dz[rows, y] -= 1
    dz /= len(X)
    dhidden = (dz @ W2.T) * (1 - hidden**2)
    grads = {"W1": X.T @ dhidden, "W2": hidden.T @ dz, "b2": dz.sum(0)}
    return loss, grads


def test_weights_in_a_dict_follow_one_another():
    report = gradcheck.check_layer(stacked_loss, fix_budget_s=0.0)
    assert any(case.status is Status.PASSED for case in report.cases), str(report)
    assert not report.failures, str(report)


def network(params, X, y):
    """Its gradients are in a dict beside the loss, under the names of the parameters."""
    z = X @ params["W1"] + params["b1"]
    h = torch.tanh(z)
    out = h @ params["W2"]
    loss = ((out - y) ** 2).mean()
    dout = 2 * (out - y) / out.numel()
    dz = (dout @ params["W2"].T) * (1 - h * h)
    return loss, {"W1": X.T @ dz, "b1": dz.sum(0), "W2": h.T @ dout}


def wrong_network(params, X, y):
    z = X @ params["W1"] + params["b1"]
    h = torch.tanh(z)
    out = h @ params["W2"]
    loss = ((out - y) ** 2).mean()
    dout = 2 * (out - y) / out.numel()
    dz = (dout @ params["W2"].T) * (1 - h)
    return loss, {"W1": X.T @ dz, "b1": dz.sum(0), "W2": h.T @ dout}


def test_a_dict_of_gradients_beside_the_loss():
    report = gradcheck.check_layer(network, fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)
    assert {"d_W1", "d_b1", "d_W2"} <= report.cases[0].gradients.keys()
    assert accused(wrong_network) == {'dz = (dout @ params["W2"].T) * (1 - h)'}
