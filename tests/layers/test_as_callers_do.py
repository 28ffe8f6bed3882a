"""`backward` is handed what a caller of the person's would hand it; and what only a guess says accuses nobody."""

import numpy as np

import gradcheck
from gradcheck.layers.report import LayerReport


def check(layer, ranks=()) -> LayerReport:
    return gradcheck.check_layer(layer, ranks=ranks, fix_budget_s=0.0)


def accused(layer, ranks=()) -> set[str]:
    reports = [failure.report for failure in check(layer, ranks).failures]
    return {finding.evidence["gradient"] for report in reports for finding in report.findings}


def judged(layer) -> set[str]:
    return {
        name
        for case in check(layer).cases
        for name, verdict in case.gradients.items()
        if verdict == "correct"
    }


def every_other_forward(x, w, stride=1):
    return x[:, ::stride] * w[::stride]


def every_other_backward(dout, x, w, stride=1):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    dx[:, ::stride] = dout * w[::stride]
    dw[::stride] = np.sum(dout * x[:, ::stride], axis=0)
    return dx, dw


def from_the_second_backward(dout, x, w, stride=1):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    dx[:, ::stride] = dout * w[::stride]
    dw[::stride] = np.sum(dout * x[:, stride - 1 :: stride][:, : dout.shape[1]], axis=0)
    return dx, dw


def test_an_option_that_forward_is_given_is_handed_to_backward_too():
    pair = every_other_forward, every_other_backward
    report = check(pair, ranks=[2])
    assert not report.failures
    assert "stride=2" in [case.name for case in report.cases]
    assert accused((every_other_forward, from_the_second_backward), ranks=[2]) == {"dw"}


class Labels:
    """`backward` takes the labels in every class of a network, and reads them in its loss alone."""

    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, dout, y):
        return dout * (1 - np.tanh(self.x) ** 2)


class LabelsAndSlope(Labels):
    def backward(self, dout, y):
        return dout * (1 - np.tanh(self.x))


def test_what_backward_never_reads_may_be_anything():
    assert not check(Labels).failures
    assert "d_x" in judged(Labels)
    assert accused(LabelsAndSlope) == {"d_x"}


class Batches:
    def __init__(self, fan_in, fan_out):
        self.W = np.random.randn(fan_in, fan_out)

    def forward_batch(self, x):
        self.x = x
        return x @ self.W

    def backprop(self, delta):
        self.dW = self.x.T @ delta
        return delta @ self.W.T


class BatchesOfSquares(Batches):
    def backprop(self, delta):
        self.dW = delta.T @ self.x
        return delta @ self.W.T


def test_whatever_follows_in_the_names_of_its_methods():
    assert not check(Batches).failures
    assert "self.dW" in judged(Batches)
    assert check(BatchesOfSquares).failures


class Unrolled:
    def __init__(self, fan_in, hidden):
        self.W = np.random.randn(fan_in, hidden)
        self.R = np.random.randn(hidden, hidden)

    def forward(self, x):
        self.x, self.h = x, [np.zeros((x.shape[1], self.R.shape[0]))]
        for row in x:
            self.h.append(np.tanh(row @ self.W + self.h[-1] @ self.R))
        return self.h[-1]

    def backward(self, dout):
        dW, dR = np.zeros((len(self.x), *self.W.shape)), np.zeros((len(self.x), *self.R.shape))
        for t in reversed(range(len(self.x))):
            dz = dout * (1 - self.h[t + 1] ** 2)
            dW[t] = self.x[t].T @ dz
            dR[t] = self.h[t].T @ dz
            dout = dz @ self.R.T
        self.grads = {"dW": dW, "dR": dR}  # `update` adds up the steps
        return self.grads


class UnrolledTwice(Unrolled):
    def backward(self, dout):
        grads = super().backward(dout)
        grads["dR"] = 2 * grads["dR"]
        return grads


def test_gradients_that_are_kept_for_each_step_lack_no_sum():
    assert not check(Unrolled).failures
    assert check(UnrolledTwice).failures


def dense_forward(x, parameters):
    W1, b1 = parameters["W1"], parameters["b1"]
    return np.dot(W1, x) + b1, (x, parameters)


def dense_backward(dz, cache):
    x, parameters = cache
    m = x.shape[1]
    dW1 = np.dot(dz, x.T) / m
    db1 = np.sum(dz, axis=1, keepdims=True) / m
    return np.dot(parameters["W1"].T, dz), {"dW1": dW1, "db1": db1}


def twice_the_mean_backward(dz, cache):
    dx, grads = dense_backward(dz, cache)
    return dx, {"dW1": grads["dW1"], "db1": 2 * grads["db1"]}


def test_the_mean_over_the_rows_is_left_open_for_parameters_in_a_dict():
    assert not check((dense_forward, dense_backward)).failures
    assert check((dense_forward, twice_the_mean_backward)).failures


class OfSteps:
    """For (steps, rows, features): of a single row, `x[t].T` is `x[t]`."""

    def __init__(self, fan_in, hidden):
        self.W = np.random.randn(fan_in, hidden)

    def forward(self, x, h):
        self.x, self.h = x, [np.copy(h)]
        for t in range(len(x)):
            self.h.append(np.tanh(np.dot(x[t], self.W) + self.h[-1]))
        return self.h[-1]

    def backward(self, dout, x):
        self.dW = np.zeros_like(self.W)
        for t in reversed(range(len(x))):
            dout = dout * (1 - self.h[t + 1] ** 2)
            self.dW += np.dot(x[t].T, dout)
        return dout


def test_fewer_axes_than_those_that_are_right_came_by_broadcasting():
    assert not check(OfSteps).failures
    assert "self.dW" in judged(OfSteps)


class OfStepsAndSlope(OfSteps):
    def backward(self, dout, x):
        self.dW = np.zeros_like(self.W)
        for t in reversed(range(len(x))):
            dout = dout * (1 - self.h[t + 1])
            self.dW += np.dot(x[t].T, dout)
        return dout


def test_nor_is_a_line_accused_there_that_is_right_for_more():
    assert accused(OfStepsAndSlope) == {"dout"}
