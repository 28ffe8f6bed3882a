"""Two passes that draw the same numbers: a gradient belongs to the pass that it moves with."""

import pytest

from gradcheck.judge.verdict import Verdict
from tests.support import report_on_source

ENGINE = """
import random

class Scalar:
    def __init__(self, data, prev=()):
        self.data, self.grad, self._prev = data, 0.0, prev
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        out = Scalar(self.data + other.data, (self, other))
        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        out = Scalar(self.data * other.data, (self, other))
        def _backward():
            self.grad += out.grad * other.data
            other.grad += out.grad * self.data
        out._backward = _backward
        return out

    def __pow__(self, k):
        out = Scalar(self.data ** k, (self,))
        def _backward():
            self.grad += {power}
        out._backward = _backward
        return out

    def backward(self):
        self.grad = 1.0
        topo, seen = [], set()
        def visit(v):
            if v not in seen:
                seen.add(v)
                for p in v._prev:
                    visit(p)
                topo.append(v)
        visit(self)
        for v in reversed(topo):
            v._backward()

def layer(count):
    random.seed(1)
    found = []
    for _ in range(count):
        out = Scalar(0.0)
        for x in [1, 2, 3, 4]:
            out = out + Scalar(random.uniform(-1, 1)) * x
        found.append(out)
    return found

(out,) = layer(1)
loss = (out + (-1.0)) ** 2
loss.backward()
losses = [(out + (-target)) ** 2 for out, target in zip(layer(2), [1.0, 2.5])]
for loss in losses:
    loss.backward()
"""
RIGHT = "out.grad * k * self.data ** (k - 1)"


@pytest.mark.parametrize(("power", "accused"), [(RIGHT, False), (RIGHT.replace("* k ", ""), True)])
def test_what_does_not_move_with_a_pass_is_not_its_gradient(power: str, accused: bool) -> None:
    report = report_on_source(ENGINE.replace("{power}", power))
    verdicts = {row.verdict for each in report.passes for row in each.gradients}
    assert (Verdict.INTRODUCED in verdicts) is accused
    assert bool(report.findings) is accused
