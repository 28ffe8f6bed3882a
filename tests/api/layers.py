"""Layers as people write them, right and wrong, for the tests of the Python API."""

from __future__ import annotations

import torch


class Linear:
    def __init__(self, fan_in: int, fan_out: int) -> None:
        self.W, self.b = torch.randn(fan_in, fan_out), torch.zeros(fan_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(0)
        return dout @ self.W.T


class UntransposedLinear(Linear):
    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(0)
        return dout @ self.W  # wrong


class BiasOfMean(Linear):
    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.mean(0)  # wrong
        return dout @ self.W.T


class BiasForgotten(Linear):
    def __init__(self, fan_in, fan_out):
        super().__init__(fan_in, fan_out)
        self.dW, self.db = torch.zeros(fan_in, fan_out), torch.zeros(fan_out)

    def backward(self, dout):
        self.dW += self.x.T @ dout
        return dout @ self.W.T


class Silent(Linear):
    def backward(self, dout):
        pass


class Relu:
    def forward(self, x):
        self.x = x
        return x.clamp(min=0)

    def backward(self, dout):
        return dout * (self.x > 0)


class ReluInPlace(Relu):
    def backward(self, dout):
        dout[self.x < 0] = 0
        return dout


class ReluHandedOn(Relu):
    def backward(self, dout):
        return dout  # wrong


class Identity:
    def forward(self, x):
        return x

    def backward(self, dout):
        return dout


class Product:
    """Two inputs, two gradients by position."""

    def forward(self, left, right):
        self.saved = left, right
        return left * right

    def backward(self, upstream):
        left, right = self.saved
        return upstream * right, upstream * left


class ProductSwapped(Product):
    def backward(self, upstream):
        left, _ = self.saved
        return upstream * left, upstream * left  # the first is wrong


class Dictionaries:
    def __init__(self):
        self.params = {"W": torch.randn(4, 4), "b": torch.randn(4)}

    def forward(self, inp):
        self.inp = inp
        return inp @ self.params["W"] + self.params["b"]

    def backward(self, upstream):
        return {
            "inp": upstream @ self.params["W"].T,
            "W": self.inp.T @ upstream,
            "b": upstream.sum(0) * 2,  # wrong
        }


class ParametersFirst(Linear):
    """Returns the gradients of its parameters too, those first, of the same shape as its input's."""

    def backward(self, dout):
        return self.x.T @ dout, dout.sum(0), dout @ self.W.T


class ParametersFirstWrong(Linear):
    def backward(self, dout):
        return self.x.T @ dout * 2, dout.sum(0), dout @ self.W.T  # the first is wrong


class Cached:
    """`forward` hands its cache out, and `backward` takes it."""

    def forward(self, x, gamma):
        return x * gamma, (x, gamma)

    def backward(self, dout, cache):
        x, gamma = cache
        return dout * gamma, (dout * x).sum(0)


class CrossEntropy:
    """A loss: there is no upstream gradient."""

    def forward(self, logits, targets):
        self.probabilities, self.targets = logits.softmax(-1), targets
        return -self.probabilities[range(len(targets)), targets].log().mean()

    def backward(self):
        dlogits = self.probabilities.clone()
        dlogits[range(len(self.targets)), self.targets] -= 1
        return dlogits / len(self.targets)


class CrossEntropySummed(CrossEntropy):
    def backward(self):
        dlogits = self.probabilities.clone()
        dlogits[range(len(self.targets)), self.targets] -= 1
        return dlogits  # wrong


class Split:
    """Two outputs, two upstream gradients."""

    def forward(self, x):
        self.x = x
        return x * 2, x**2

    def backward(self, dtwice, dsquare):
        return dtwice * 2 + dsquare * 2 * self.x


class SplitWrong(Split):
    def backward(self, dtwice, dsquare):
        return dtwice * 2 + dsquare * self.x  # wrong


class Scale:
    """Right at gamma = 1 alone."""

    def __init__(self, size):
        self.gamma = torch.ones(size)

    def forward(self, x):
        self.x = x
        return x * self.gamma

    def backward(self, dout):
        self.dgamma = (dout * self.x).sum(0)
        return dout * 1  # wrong
