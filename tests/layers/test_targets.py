"""Layers whose `backward` takes what the output is compared with, whose loss is inferred; and what is written for one row."""

from __future__ import annotations

import numpy as np

import gradcheck
from gradcheck.base.options import SessionOptions
from gradcheck.layers.definitions import report_on_definitions
from gradcheck.layers.records import Status


class Classifier:
    def __init__(self, n_in, n_hidden, n_out):
        self.W, self.b = np.random.randn(n_in, n_hidden) * 0.5, np.zeros((1, n_hidden))
        self.V, self.c = np.random.randn(n_hidden, n_out) * 0.5, np.zeros((1, n_out))

    def forward(self, X):
        self.X = X
        self.h = np.tanh(X @ self.W + self.b)
        scores = self.h @ self.V + self.c
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p

    def backward(self, labels):
        n = len(self.X)
        dscores = (self.p - labels) / n
        self.dV, self.dc = self.h.T @ dscores, dscores.sum(axis=0, keepdims=True)
        dh = dscores @ self.V.T
        self.backward_hidden(dh * (1 - self.h**2))

    def backward_hidden(self, dz):
        self.dW, self.db = self.X.T @ dz, dz.sum(axis=0, keepdims=True)


class WithoutSlope(Classifier):
    def backward_hidden(self, dz):
        dz = dz / (1 - self.h**2)  # wrong
        self.dW, self.db = self.X.T @ dz, dz.sum(axis=0, keepdims=True)


class OfNothing(Classifier):
    def backward(self, labels):
        dscores = np.sign(self.p) * labels**2
        self.dV = self.h.T @ dscores


def one_hot(labels, count):
    found = np.zeros((labels.size, count))
    found[np.arange(labels.size), labels] = 1
    return found.T


def columns_forward(X, W1, b1, W2, b2):
    A1 = np.maximum(W1.dot(X) + b1, 0)
    Z2 = W2.dot(A1) + b2
    e = np.exp(Z2 - Z2.max(axis=0))
    A2 = e / e.sum(axis=0)
    return A1, A2


def columns_backward(A1, A2, W2, X, Y):
    dZ2 = A2 - one_hot(Y, A2.shape[0])
    dW2, db2 = dZ2.dot(A1.T) / Y.size, dZ2.sum(axis=1, keepdims=True) / Y.size
    dZ1 = W2.T.dot(dZ2) * (A1 > 0)
    dW1, db1 = dZ1.dot(X.T) / Y.size, dZ1.sum(axis=1, keepdims=True) / Y.size
    return dW1, db1, dW2, db2


def test_the_loss_is_the_one_whose_gradient_backward_begins_with():
    for layer in (Classifier, (columns_forward, columns_backward)):
        report = gradcheck.check_layer(layer, fix_budget_s=0.0)
        assert any(case.status is Status.PASSED for case in report.cases), str(report)
        assert not report.failures, str(report)
    report = gradcheck.check_layer(WithoutSlope, fix_budget_s=0.0)
    assert {failure.report.findings[0].location.line for failure in report.failures} == {39}


def test_no_usual_loss_is_told():
    report = gradcheck.check_layer(OfNothing, fix_budget_s=0.0)
    assert not report.failures
    assert any("begins with the gradient of none of the usual losses" in case.reason for case in report.cases)


def test_the_report_says_which_loss_was_inferred(tmp_path):
    path = tmp_path / "network.py"
    path.write_text(_NETWORK)
    (step,) = report_on_definitions(SessionOptions(str(path), fix_budget_s=0.0)).passes
    assert step.inferred
    assert step.loss == "half the sum of squares whose gradient is `dout`"


_NETWORK = """
import numpy as np
class Net:
    def __init__(self, n, m):
        self.W = np.random.randn(n, m)
    def forward(self, x):
        self.x = x
        return x @ self.W
    def backward(self, y):
        dout = self.x @ self.W - y
        self.dW = self.x.T @ dout
"""


class OfOneRow:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.random.randn(n_out, n_in), np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return np.dot(self.W, x) + self.b

    def backward(self, up):
        self.dW, self.db = np.outer(up, self.x), up
        return np.dot(self.W.T, up)


class AllReturned:
    """Those of its parameters first, and divided by the rows."""

    def __init__(self, n_in, n_out):
        self.W, self.b = np.random.randn(n_in, n_out), np.zeros((1, n_out))

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dZ):
        m = self.X.shape[0]
        dW = (self.X.T @ dZ) / m
        db = np.sum(dZ, axis=0, keepdims=True) / m
        dX = dZ @ self.W.T
        return dW, db, dX


def test_shapes_say_how_many_rows_a_layer_is_written_for():
    report = gradcheck.check_layer(OfOneRow, fix_budget_s=0.0)
    assert not report.failures, str(report)
    assert any(case.status is Status.PASSED and case.rank == 1 for case in report.cases), str(report)
    assert not gradcheck.check_layer(AllReturned, fix_budget_s=0.0).failures


class OfASample:
    """With a label that is one number."""

    def forward(self, logits, label):
        e = np.exp(logits - np.max(logits))
        self.probs, self.label = e / np.sum(e), label
        return -np.log(self.probs[label])

    def backward(self):
        grad = self.probs.copy()
        grad[self.label] -= 1
        return grad


class Fitted:
    """Its `backward` needs what `fit` keeps."""

    def __init__(self, n):
        self.W = np.random.randn(1, n)

    def forward(self, X):
        self.out = np.tanh(self.W @ X)
        return self.out

    def backward(self):
        self.dW = (self.out - self.aims) * (1 - self.out**2) @ self.X.T

    def fit(self, X, aims):
        self.X, self.aims = X, aims


def test_a_loss_of_one_sample_and_what_another_method_keeps():
    report = gradcheck.check_layer(OfASample, fix_budget_s=0.0)
    assert not report.failures, str(report)
    assert any(case.status is Status.PASSED for case in report.cases), str(report)
    report = gradcheck.check_layer(Fitted, inputs=["1,1"], fix_budget_s=0.0)
    assert not report.failures
    assert "`backward` reads `self.aims`, which `forward` does not set" in str(report.cases)
