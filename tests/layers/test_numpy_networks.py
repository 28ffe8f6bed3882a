"""Networks, losses and layers of NumPy's as their authors write them: handed their inputs when they are made, comparing
their output themselves, written for one sample."""

import numpy as np
import pytest

import gradcheck


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Compares:
    """Its loss is computed nowhere."""

    def __init__(self, n_in, n_hidden, n_out):
        self.W1 = np.random.randn(n_in, n_hidden)
        self.W2 = np.random.randn(n_hidden, n_out)

    def forward(self, X):
        self.h = np.tanh(X @ self.W1)
        self.p = sigmoid(self.h @ self.W2)
        return self.p

    def backward(self, X, y_onehot):
        m = len(X)
        dz2 = self.p - y_onehot
        self.dW2 = self.h.T @ dz2 / m
        dh = dz2 @ self.W2.T
        dz1 = dh * self.slope()
        self.dW1 = X.T @ dz1 / m

    def slope(self):
        return 1 - self.h**2


class ComparesWrong(Compares):
    def slope(self):
        return 1 - self.h


def one_hot(Y):
    found = np.zeros((Y.size, Y.max() + 1))
    found[np.arange(Y.size), Y] = 1
    return found.T


def classes_forward(W1, b1, W2, b2, X):
    Z1 = W1.dot(X) + b1
    A1 = np.maximum(Z1, 0)
    Z2 = W2.dot(A1) + b2
    E = np.exp(Z2 - Z2.max(axis=0))
    A2 = E / E.sum(axis=0)
    return Z1, A1, Z2, A2


def classes_backward(W1, b1, W2, b2, Z1, A1, Z2, A2, X, Y):
    m = Y.size
    dZ2 = A2 - one_hot(Y)
    dW2 = dZ2.dot(A1.T) / m
    db2 = dZ2.sum(axis=1, keepdims=True) / m
    dZ1 = W2.T.dot(dZ2) * (Z1 > 0)
    dW1 = dZ1.dot(X.T) / m
    db1 = dZ1.sum(axis=1, keepdims=True) / m
    return dW1, db1, dW2, db2


class MadeOfInputs:
    def __init__(self, Y_hat, Y):
        self.Y_hat, self.Y = Y_hat, Y

    def forward(self):
        return -np.sum(self.Y * np.log(self.Y_hat)) / len(self.Y)

    def backward(self):
        return -(self.Y / self.Y_hat) / len(self.Y)


class MadeOfInputsWrong(MadeOfInputs):
    def backward(self):
        return -(self.Y * self.Y_hat) / len(self.Y)


class ReturnsANumber:
    def forward(self, y_pred: np.ndarray, y_true: np.ndarray) -> float:
        self.d = y_pred - y_true
        return float(np.mean(self.d**2))

    def backward(self):
        return 2 * self.d / self.d.size


class ReturnsANumberNegated(ReturnsANumber):
    def backward(self):
        return -2 * self.d / self.d.size


class LabelsAgain:
    def forward(self, prediction_tensor, label_tensor):
        self.p = np.clip(prediction_tensor, 1e-15, 1 - 1e-15)
        return -np.sum(np.log(self.p[label_tensor == 1]))

    def backward(self, label_tensor):
        return -label_tensor / self.p


class OfOneSample:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_out, n_in)
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return np.dot(self.W, x) + self.b

    def backward(self, grad, learning_rate):
        dW = np.outer(grad, self.x)
        dx = np.dot(self.W.T, self.upstream(grad))
        self.W -= learning_rate * dW
        self.b -= learning_rate * grad
        return dx

    def upstream(self, grad):
        return grad


class OfOneSampleWrong(OfOneSample):
    def upstream(self, grad):
        return grad**2


class GainAsRow:
    """The gradient has the shape of a view of the gain."""

    def __init__(self, gamma, beta, eps=1e-5):
        self.gamma, self.beta, self.eps = gamma, beta, eps
        self.dgamma = self.dbeta = None

    def forward(self, x):
        axes = (0,) if x.ndim == 2 else (0, 2, 3)
        self.shape = (1, -1) if x.ndim == 2 else (1, -1, 1, 1)
        self.xc = x - x.mean(axis=axes, keepdims=True)
        self.std = np.sqrt(np.mean(self.xc**2, axis=axes, keepdims=True) + self.eps)
        self.xn, self.axes = self.xc / self.std, axes
        return self.gamma.reshape(self.shape) * self.xn + self.beta.reshape(self.shape)

    def backward(self, dout):
        keep = dout.ndim == 2
        self.dbeta = dout.sum(axis=self.axes, keepdims=keep)
        self.dgamma = np.sum(self.xn * dout, axis=self.axes, keepdims=keep)
        dxn = self.gamma.reshape(self.shape) * dout
        mean = dxn.mean(axis=self.axes, keepdims=True)
        return (dxn - mean - self.xn * (dxn * self.xn).mean(axis=self.axes, keepdims=True)) / self.std


class BeganAsNumbers:
    def __init__(self):
        self.gamma, self.beta = 1, 0.0

    def forward(self, x):
        self.xc = x - x.mean(axis=0, keepdims=True)
        self.xn = self.xc / np.sqrt(np.mean(self.xc**2, axis=0, keepdims=True) + 1e-5)
        return self.gamma * self.xn + self.beta

    def backward(self, dy, lr=0.01):
        m = len(dy)
        dxn = dy * self.gamma
        ivar = 1 / np.sqrt(np.mean(self.xc**2, axis=0, keepdims=True) + 1e-5)
        dx = ivar / m * (m * dxn - dxn.sum(axis=0) - self.xn * np.sum(dxn * self.xn, axis=0))
        dbeta = np.sum(dy, axis=0, keepdims=True)
        self.beta -= lr * dbeta
        dgamma = np.sum(dy * self.xn, axis=0, keepdims=True)
        self.gamma -= lr * dgamma
        return dx


class Joined:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(2 * n_in, n_out)

    def forward(self, x):
        self.both = np.concatenate((x[0], np.tanh(x[1])), axis=None).reshape(1, -1)
        self.x = x
        return self.both @ self.W

    def backward(self, dout):
        self.dW = self.both.T @ dout
        d = (dout @ self.W.T).reshape(-1)
        half = len(d) // 2
        dx = np.zeros_like(self.x)
        dx[0] = d[:half]
        dx[1] = d[half:] * (1 - np.tanh(self.x[1]) ** 2)
        return dx


class StepsFirst:
    """Of which the steps come first, and the state has a row for each sample."""

    def forward(self, x, h0, Wx, Wh):
        steps, rows, _ = x.shape
        states = np.zeros((steps, rows, h0.shape[1]))
        h = h0
        for t in range(steps):
            h = states[t] = np.tanh(x[t] @ Wx + h @ Wh)
        self.kept = x, h0, Wx, Wh, states
        return states

    def backward(self, dstates):
        x, h0, Wx, Wh, states = self.kept
        dx, dWx, dWh, dh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), 0
        for t in range(len(x))[::-1]:
            dz = (dstates[t] + dh) * (1 - states[t] ** 2)
            dx[t] = dz @ Wx.T
            dWx += x[t].T @ dz
            dWh += (states[t - 1] if t else h0).T @ dz
            dh = dz @ Wh.T
        return dx, dh, dWx, dWh


RIGHT = [
    *(Compares, (classes_forward, classes_backward), MadeOfInputs, ReturnsANumber, LabelsAgain),
    *(OfOneSample, GainAsRow, Joined, StepsFirst),
]


@pytest.mark.parametrize(
    "layer",
    RIGHT,
    ids=lambda layer: getattr(layer, "__name__", "functions"),
)
def test_right_ones_are_judged_and_right(layer):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert not report.failures
    assert not report.never_judged
    assert report.exit_status == 0


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        (ComparesWrong, "dz1 = dh * self.slope()"),
        (MadeOfInputsWrong, "return -(self.Y * self.Y_hat) / len(self.Y)"),
        (ReturnsANumberNegated, "return -2 * self.d / self.d.size"),
        (OfOneSampleWrong, "dx = np.dot(self.W.T, self.upstream(grad))"),
    ],
)
def test_wrong_ones_are_found_at_their_line(layer, line):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    found = {_line(finding) for failure in report.failures for finding in failure.report.findings}
    assert found == {line}


def _line(finding):
    with open(finding.location.file) as file:
        return file.read().split("\n")[finding.location.line - 1].strip()


def test_a_number_that_becomes_an_array_is_not_accused():
    report = gradcheck.check_layer(BeganAsNumbers, ranks=(2,), fix_budget_s=0.0)
    assert not report.failures


class SetElsewhere:
    def __init__(self, n):
        self.W = np.random.randn(n, n)

    def forward(self, X):
        self.out = np.tanh(X @ self.W)
        return self.out

    def backward(self, dout):
        self.dW = self.X.T @ (dout * (1 - self.out**2))

    def train(self, X, dout):
        self.X = X
        self.forward(X)
        self.backward(dout)


class MeanAndInput:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out)
        self.b = np.zeros((1, n_out))

    def forward(self, X):
        self.x = X
        return X @ self.W + self.b

    def backward(self, dZ):
        m = len(self.x)
        dW = self.x.T @ dZ / m
        db = dZ.sum(axis=0, keepdims=True) / m
        dX = dZ @ self.W.T
        return dW, db, dX


@pytest.mark.parametrize(
    ("layer", "why"),
    [(SetElsewhere, "has no attribute 'X'"), (MeanAndInput, "the mean over the rows")],
)
def test_what_a_layer_alone_does_not_show_is_left_open(layer, why):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert not report.failures
    assert why in f"{report.cases} {report.never_judged}"


class MergedForParts:
    """The derivative of a softmax and its cross-entropy, divided by another number than the loss is."""

    def forward(self, y_hat, y):
        return -np.mean(np.sum(y * np.log(y_hat), axis=-1))

    def backward(self, y_hat, y):
        return (y_hat - y) / y.shape[0]


def test_a_merged_derivative_is_left_open_whatever_it_is_divided_by():
    report = gradcheck.check_layer(MergedForParts, fix_budget_s=0.0)
    assert not report.failures
    assert "what a softmax turns into `y_hat`" in str(report.never_judged)
