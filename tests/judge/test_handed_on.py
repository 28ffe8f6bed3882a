"""A fault in what a function is called with is the caller's, one in a function is the function's."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

HELPERS = """
import torch
torch.manual_seed(51)
x, t = torch.randn(14, 4), torch.randn(14, 2)
P = {"1": torch.randn(4, 5) * 0.6, "2": torch.randn(5, 6) * 0.6, "3": torch.randn(6, 2) * 0.6}
G = {}

def sig(v):
    return 1 / (1 + torch.exp(-v))

def dsig(a):
    return a * (1 - a)

def layer_back(delta, name, inp):
    G[name] = inp.T @ delta
    return delta @ P[name].T

for turn in range(3):
    a1 = sig(x @ P["1"])
    a2 = sig(a1 @ P["2"])
    a3 = a2 @ P["3"]
    loss = ((a3 - t) ** 2).sum() / 28
    d3 = layer_back((a3 - t) / 14, "3", a2)
    d2 = layer_back(d3 * dsig(a2), "2", a1)
    d1 = layer_back(d2 * dsig(a1), "1", x)
    for k in P:
        P[k] -= 0.5 * G[k]
"""

PAIRS = """
import torch

def affine(x, w):
    return x @ w, (x, w)

def affine_back(dout, cache):
    x, w = cache
    dx = dout @ w.T
    dw = x.T @ dout
    return dx, dw

torch.manual_seed(8)
data, goal = torch.randn(9, 4), torch.randn(9, 3)
w1, w2 = torch.randn(4, 5), torch.randn(5, 3)
for turn in range(3):
    a, first = affine(data, w1)
    h = torch.tanh(a)
    out, second = affine(h, w2)
    loss = ((out - goal) ** 2).mean()
    dout = 2 * (out - goal) / goal.numel()
    dh, dw2 = affine_back(dout, second)
    da = dh * (1 - h**2)
    _, dw1 = affine_back(da, first)
    w1 -= 0.1 * dw1
    w2 -= 0.1 * dw2
"""

CLASSES = """
import torch

class Dense:
    def __init__(self, i, o):
        self.w = torch.randn(i, o) / i**0.5

    def forward(self, x):
        self.x = x
        return x @ self.w

    def back(self, d):
        self.dw = self.x.T @ d
        return d @ self.w.T

class Tanh:
    def forward(self, x):
        self.y = x.tanh()
        return self.y

    def back(self, d):
        return d * (1 - self.y**2)

torch.manual_seed(5)
x, t = torch.randn(12, 4), torch.randn(12, 3)
layers = [Dense(4, 6), Tanh(), Dense(6, 5), Tanh(), Dense(5, 3)]
for turn in range(3):
    out = x
    for layer in layers:
        out = layer.forward(out)
    loss = ((out - t) ** 2).mean()
    d = 2 * (out - t) / t.numel()
    for layer in reversed(layers):
        d = layer.back(d)
    for layer in layers[::2]:
        layer.w -= 0.1 * layer.dw
"""

IN_PLACE = """
import torch

class Dense:
    def __init__(self, w):
        self.w = w

    def forward(self, x):
        self.x = x
        return x @ self.w

    def back(self, d):
        self.dw = self.x.T @ d
        dx = d @ self.w.T
        return dx

torch.manual_seed(15)
x, y, t = torch.randn(12, 4), torch.randn(12, 4), torch.randn(12, 3)
W = torch.randn(4, 6)
one, two, last = Dense(W), Dense(W), Dense(torch.randn(6, 3))
h = 0.5 * (one.forward(x) + two.forward(y))
out = last.forward(h)
loss = ((out - t) ** 2).mean()
dout = 2 * (out - t) / t.numel()
da = last.back(dout)
da *= 0.5
one.back(da)
two.back(da)
dW = one.dw + two.dw
"""

BEGUN = CLASSES.replace(
    "class Tanh:",
    "class Squares:\n    def back(self, out, t):\n        return 2 * (out - t) / t.numel()\n\nclass Tanh:",
).replace("    d = 2 * (out - t) / t.numel()\n", "    d = Squares().back(out, t)\n")

WRONG = [
    (BEGUN, "return 2 * (out - t) / t.numel()", "return (out - t) / t.numel()"),
    (HELPERS, "d2 = layer_back(d3 * dsig(a2), ", "d2 = layer_back(d3, "),
    (HELPERS, "return delta @ P[name].T", "return delta @ P[name].T * 2"),
    (HELPERS, "G[name] = inp.T @ delta", "G[name] = 2 * inp.T @ delta"),
    (IN_PLACE, "da *= 0.5", "da *= 1.0"),
    (PAIRS, "da = dh * (1 - h**2)", "da = dh"),
    (PAIRS, "da = dh * (1 - h**2)", "da = 1 - h**2"),
    (PAIRS, "dx = dout @ w.T", "dx = dout @ w.T * 0.5"),
    (CLASSES, "return d * (1 - self.y**2)", "return 1 - self.y**2"),
    (CLASSES, "return d * (1 - self.y**2)", "return d * (1 - self.y)"),
]


DROPPED = """
import torch
torch.manual_seed(52)
x, t, u = torch.randn(7, 4), torch.randn(7, 3), torch.randn(7, 2)
A, B, C = torch.randn(4, 5), torch.randn(5, 3), torch.randn(5, 2)
h = torch.sigmoid(x @ A)
p, q = h @ B, h @ C
loss = ((p - t) ** 2).sum() + ((q - u) ** 2).sum()
dp, dq = 2 * (p - t), 2 * (q - u)
dh1 = dp @ B.T
dh2 = dq @ C.T
dh = dh1 + dh2
dA = x.T @ (dh * h * (1 - h))
"""
WRONG.append((DROPPED, "dh = dh1 + dh2", "dh = dh1"))

# A gradient of whole numbers, which has no row of its own.
COUNTED = """
import torch
torch.manual_seed(53)
x, W = torch.randn(6, 4), torch.randn(4, 3)
Y = torch.nn.functional.one_hot(torch.arange(6) % 3, 3)
loss = -(Y * (x @ W)).sum()
dZ = -Y
dW = x.T @ dZ.float()
"""


def _accused(source: str) -> set[int]:
    report = report_on_source(source)
    assert report.passes
    return {f.location.line for f in report.findings if f.location is not None and f.rule.startswith("GC1")}


@pytest.mark.parametrize("source", [HELPERS, PAIRS, CLASSES, IN_PLACE, BEGUN, DROPPED, COUNTED])
def test_what_is_right_is_not_accused(source: str) -> None:
    assert _accused(source) == set()


@pytest.mark.parametrize(("source", "right", "wrong"), WRONG)
def test_the_line_at_fault_is_accused(source: str, right: str, wrong: str) -> None:
    assert source.count(right) == 1
    line = source[: source.index(right)].count("\n") + 1
    assert _accused(source.replace(right, wrong)) == {line}


def test_what_has_no_row_of_its_own_is_wrong_where_it_is_used() -> None:
    assert _accused(COUNTED.replace("dZ = -Y", "dZ = Y")) == {8}


def test_the_report_says_what_is_handed_on() -> None:
    report = report_on_source(HELPERS.replace("layer_back(d3 * dsig(a2), ", "layer_back(d3, "))
    (finding,) = [f for f in report.findings if f.rule == "GC101"]
    assert "it is the gradient of `a2`, and this line hands it on as that of `v`" in finding.notes
