"""Losses whose `backward` takes once more what was predicted: `loss.backward(output, y)`."""

import numpy as np
import pytest

import gradcheck


class Loss:
    def calculate(self, output, y):
        return np.mean(self.forward(output, y))


class Squares(Loss):
    def forward(self, y_pred, y_true):
        return np.mean((y_true - y_pred) ** 2, axis=-1)

    def backward(self, dvalues, y_true):
        self.dinputs = -2 * (y_true - dvalues) / len(dvalues[0]) / len(dvalues)


class Distances(Loss):
    """The gradient that it gives is that of what it compares with."""

    def forward(self, y_pred, y_true):
        return np.mean(np.abs(y_true - y_pred), axis=-1)

    def backward(self, dvalues, y_true):
        self.dinputs = np.sign(y_true - dvalues) / len(dvalues[0]) / len(dvalues)


class CrossEntropy(Loss):
    def forward(self, y_pred, y_true):
        kept = np.clip(y_pred, 1e-7, 1 - 1e-7)
        if len(y_true.shape) == 1:
            return -np.log(kept[range(len(y_pred)), y_true])
        return -np.log(np.sum(kept * y_true, axis=1))

    def backward(self, dvalues, y_true):
        if len(y_true.shape) == 1:
            y_true = np.eye(len(dvalues[0]))[y_true]
        self.dinputs = -y_true / dvalues
        self.dinputs = self.dinputs / len(dvalues)


class SumOfRows(Squares):
    def calculate(self, output, y):
        return np.sum(self.forward(output, y))

    def backward(self, dvalues, y_true):
        self.dinputs = -2 * (y_true - dvalues) / len(dvalues[0])


class Softmax:
    def forward(self, inputs):
        e = np.exp(inputs - inputs.max(axis=1, keepdims=True))
        self.output = e / e.sum(axis=1, keepdims=True)


class SoftmaxAndLoss:
    """What its caller hands over is the output of its softmax."""

    def __init__(self):
        self.activation, self.loss = Softmax(), CrossEntropy()

    def forward(self, inputs, y_true):
        self.activation.forward(inputs)
        self.output = self.activation.output
        return self.loss.calculate(self.output, y_true)

    def backward(self, dvalues, y_true):
        if len(y_true.shape) == 2:
            y_true = np.argmax(y_true, axis=1)
        self.dinputs = dvalues.copy()
        self.dinputs[range(len(dvalues)), y_true] -= 1
        self.dinputs = self.dinputs / len(dvalues)


class SoftmaxAndLossNotDivided(SoftmaxAndLoss):
    def backward(self, dvalues, y_true):
        if len(y_true.shape) == 2:
            y_true = np.argmax(y_true, axis=1)
        self.dinputs = dvalues.copy()
        self.dinputs[range(len(dvalues)), y_true] -= 1


@pytest.mark.parametrize("layer", [Squares, CrossEntropy, SumOfRows, SoftmaxAndLoss])
def test_right_ones_are_judged_and_right(layer):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert not report.failures
    assert report.exit_status == 0


@pytest.mark.parametrize("layer", [Distances, SoftmaxAndLossNotDivided])
def test_wrong_ones_are_told(layer):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert {f.report.findings[0].evidence["gradient"] for f in report.failures} == {"self.dinputs"}
