"""A loss that computes its gradients along with itself does not know yet what arrives: only what hands them back is to
multiply with it."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch.autograd import Function

import gradcheck
from gradcheck.base.options import SessionOptions
from gradcheck.layers.definitions import report_on_definitions
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


_RETURNS = """
import numpy as np
def net_loss(X, y, W1, W2):
    n = X.shape[0]
    h = np.tanh(X @ W1)
    s = h @ W2
    loss = 0.5 * np.sum((s - y) ** 2) / n
    ds = (s - y) / n
    dW2, dW1 = h.T @ ds, X.T @ ((ds @ W2.T) * (1 - h**2))
    return RETURNED
"""


@pytest.mark.parametrize(
    "returned",
    [
        'loss, {"W1": dW1, "W2": dW2}',
        "loss, dict(W1=dW1, W2=dW2)",
        "{'dW1': dW1, 'dW2': dW2}, loss",
        "{'loss': loss, 'dW1': dW1, 'dW2': dW2}",
        "dict(loss=loss, W1=dW1, W2=dW2)",
        "loss, (dW1, dW2)",
    ],
)
def test_a_dict_that_is_written_in_the_return(returned, tmp_path):
    path = tmp_path / "net.py"
    for text, wrong in ((_RETURNS, 0), (_RETURNS.replace("(1 - h**2)", "(1 - h)"), 1)):
        path.write_text(text.replace("RETURNED", returned))
        report = report_on_definitions(SessionOptions(str(path), fix_budget_s=0.0))
        assert report is not None
        assert {"dW1", "dW2"} <= {row.name for row in report.rows}
        assert report.summary["introduced"] == wrong


def propagate(w, b, X, Y):
    """Its shift is one number."""
    m = X.shape[1]
    A = 1 / (1 + np.exp(-(np.dot(w.T, X) + b)))
    cost = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    dw = np.dot(X, (A - Y).T) / m
    db = np.sum(A - Y) / m
    return {"dw": dw, "db": db}, cost


def test_a_shift_that_is_one_number():
    report = gradcheck.check_layer(propagate, fix_budget_s=0.0)
    assert not report.failures, str(report)
    assert any(case.status is Status.PASSED for case in report.cases), str(report)


def binarised_forward(ctx, x):
    out = x.new(x.size())
    out[x >= 0], out[x < 0] = 1, -1
    return out


def test_new_memory_is_no_number_of_the_program():
    """What lies in it is another each time; `new` of a list holds what is in the list."""

    class Binarised(Function):
        forward = staticmethod(binarised_forward)

        @staticmethod
        def backward(ctx, up):
            return up * 1.0

    class Filled(Function):
        @staticmethod
        def forward(ctx, x):
            out = x.new(*x.shape)
            out[:] = x * x.new([1.0, 2.0]).sum()
            return out

        @staticmethod
        def backward(ctx, up):
            return 3 * up

    for layer in (Binarised, Filled):
        torch.full((64,), float("nan"))  # what may lie there
        report = gradcheck.check_layer(layer, fix_budget_s=0.0)
        assert not report.failures
        assert "when it is run again" not in str(report)
