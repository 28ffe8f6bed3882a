"""What an optimiser keeps is no gradient: it has no true value, and nobody is at fault because it has none."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

# The gradient of the scores is three times too large until its last line. With weights this small the name `x` in
# `softmax` says that already its first line is the whole gradient.
PROGRAM = """
import numpy as np
rng = np.random.default_rng(0)

class Linear:
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        (W,) = self.params
        self.x = x
        return np.dot(x, W)

    def backward(self, dout):
        (W,) = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        self.grads[0][...] = dW
        return dx

def softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    x = np.exp(x)
    x /= x.sum(axis=1, keepdims=True)
    return x

class CrossEntropy:
    def forward(self, x, t):
        self.y, self.t = softmax(x), t.argmax(axis=1)
        return -np.sum(np.log(self.y[np.arange(len(x)), self.t] + 1e-7)) / len(x)

    def backward(self, dout=1):
        n = self.t.shape[0]
        dx = self.y.copy()
        dx[np.arange(n), self.t] -= 1
        dx *= dout
        dx = dx / n
        return dx

class Model:
    def __init__(self, words, width):
        inner = 0.01 * rng.standard_normal((words, width))
        outer = 0.01 * rng.standard_normal((width, words))
        self.left, self.right, self.out = Linear(inner), Linear(inner), Linear(outer)
        self.loss = CrossEntropy()
        layers = (self.left, self.right, self.out)
        self.params = [p for layer in layers for p in layer.params]
        self.grads = [g for layer in layers for g in layer.grads]

    def forward(self, contexts, target):
        h = 0.5 * (self.left.forward(contexts[:, 0]) + self.right.forward(contexts[:, 1]))
        return self.loss.forward(self.out.forward(h), target)

    def backward(self):
        ds = self.loss.backward(1)
        da = self.out.backward(ds)
        da *= 0.5
        self.right.backward(da)
        self.left.backward(da)

class Adam:
    def __init__(self):
        self.steps, self.m, self.v = 0, None, None

    def update(self, params, grads):
        if self.m is None:
            self.m = [np.zeros_like(p) for p in params]
            self.v = [np.zeros_like(p) for p in params]
        self.steps += 1
        rate = 0.01 * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        for i in range(len(params)):
            self.m[i] += (1 - 0.9) * (grads[i] - self.m[i])
            self.v[i] += (1 - 0.999) * (grads[i] ** 2 - self.v[i])
            params[i] -= rate * self.m[i] / (np.sqrt(self.v[i]) + 1e-7)

corpus = np.array([0, 1, 2, 3, 4, 1, 5, 6, 2, 4, 0, 3, 6, 5])
hot = np.eye(7)[corpus]
contexts, targets = np.stack([hot[:-2], hot[2:]], axis=1), hot[1:-1]
model, optimizer = Model(7, 4), Adam()
for turn in range(4):
    rows = slice(3 * turn, 3 * turn + 3)
    loss = model.forward(contexts[rows], targets[rows])
    model.backward()
    model.grads[0] += model.grads[1]
    optimizer.update(model.params[::2], model.grads[::2])
"""

ACCUSED = ("introduced", "compensated")


def accused(program: str) -> set[str]:
    """The lines that are accused."""
    rows = report_on_source(program).to_dict()["gradients"]
    assert rows
    lines = program.splitlines()
    return {lines[row["location"]["line"] - 1].strip() for row in rows if row["verdict"] in ACCUSED}


def test_the_moments_of_adam_are_no_victims() -> None:
    assert accused(PROGRAM) == set()


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("dx = dx / n", "dx = dx / 1", "dx[np.arange(n), self.t] -= 1"),
        ("self.t] -= 1", "self.t] -= 2", "dx[np.arange(n), self.t] -= 2"),
        ("dW = np.dot(self.x.T, dout)", "dW = 2 * np.dot(self.x.T, dout)", "dW = 2 * np.dot(self.x.T, dout)"),
        ("da *= 0.5", "da *= 0.3", "da *= 0.3"),
    ],
)
def test_a_wrong_gradient_that_they_are_made_of_is_found(right: str, wrong: str, line: str) -> None:
    assert PROGRAM.count(right) == 1
    assert accused(PROGRAM.replace(right, wrong)) == {line}
