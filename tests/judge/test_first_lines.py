"""The first line of a backward pass is wrong in such a way that little of the step is left in it: it is still the one."""

import pytest

from gradcheck.judge.verdict import Verdict
from tests.support import VERDICTS_ONLY, report_on_source

LAYERS = """
import numpy as np
rng = np.random.default_rng(3)
n = 14
X, y = rng.normal(size=(n, 4)), (rng.random((n, 1)) > 0.5).astype(int)
W1, c1 = rng.normal(size=(4, 6)) * 0.5, np.zeros((1, 6))
W2, c2 = rng.normal(size=(6, 1)) * 0.5, np.zeros((1, 1))
for step in range(3):
    z1 = X @ W1 + c1
    h = np.tanh(z1)
    z2 = h @ W2 + c2
    p = 1 / (1 + np.exp(-z2))
    loss = -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)) / n
    dz2 = p - y
    dW2 = h.T @ dz2 / n
    dc2 = dz2.sum(axis=0, keepdims=True) / n
    dz1 = dz2 @ W2.T * (1 - h**2)
    dW1 = X.T @ dz1 / n
    dc1 = dz1.sum(axis=0, keepdims=True) / n
    W1, c1, W2, c2 = W1 - 0.1 * dW1, c1 - 0.1 * dc1, W2 - 0.1 * dW2, c2 - 0.1 * dc2
"""
IN_A_LOOP = """
import numpy as np
rng = np.random.default_rng(3)
n = 14
a, W, z = [rng.normal(size=(n, 4))], [rng.normal(size=(4, 4)) * 0.5 for _ in range(3)], []
T = rng.normal(size=(n, 4))
for M in W:
    z.append(a[-1] @ M)
    a.append(np.tanh(z[-1]))
loss = np.sum((a[-1] - T) ** 2) / 2 / n
dz = (a[-1] - T) * (1 - a[-1] ** 2)
dW = [None] * 3
for i in (2, 1, 0):
    dW[i] = a[i].T @ dz / n
    if i:
        dz = dz @ W[i].T * (1 - a[i] ** 2)
for i in range(3):
    W[i] -= 0.1 * dW[i]
"""
HINGE = """
import numpy as np
rng = np.random.default_rng(5)
n, rows = 12, np.arange(12)
X, y, M = rng.random((n, 6)), rng.integers(4, size=n), rng.normal(size=(6, 4)) * 0.1
s = X @ M
over = np.maximum(0, s - s[rows, y].reshape(n, 1) + 1)
over[rows, y] = 0
loss = over.sum() / n + 1e-3 * (M * M).sum()
ds = (over > 0).astype(float)
ds[rows, y] -= ds.sum(axis=1)
dM = X.T @ ds / n + 2e-3 * M
M -= 0.1 * dM
"""
EDITS = [
    (LAYERS, "p - y", "-y", "dz2"),
    (IN_A_LOOP, "dz = (a[-1] - T)", "dz = (a[-1] - a[-1])", "dz"),
    (HINGE, "ds[rows, y] -= ds", "ds[rows, y] = ds", "ds"),
]


def _names(program: str, *verdicts: Verdict) -> list[str]:
    (judged,) = report_on_source(program, **VERDICTS_ONLY).passes
    return [row.name for row in judged.gradients if row.verdict in verdicts]


@pytest.mark.parametrize(("program", "right", "wrong", "name"), EDITS, ids=["labels", "zero", "elements"])
def test_it_alone_is_at_fault(program: str, right: str, wrong: str, name: str) -> None:
    assert not report_on_source(program).findings
    wrong_ones = (Verdict.INTRODUCED, Verdict.COMPENSATED)
    assert _names(program.replace(right, wrong), *wrong_ones) == [name]


def test_a_sum_that_goes_on_may_pass_by_any_number() -> None:
    """After its first turn `dbias` is 1, which is the gradient of the loss too."""
    one_by_one = """
import math
import numpy as np
w, bias, loss = np.array([0.3, -0.2]), 0.0, 0.0
dw, dbias = np.zeros(2), 0.0
for x, t in zip(np.array([[0, 0], [0, 1], [1, 1]]), (0, 1, 1)):
    z = x[0] * w[0] + x[1] * w[1] + bias
    p = 1 / (1 + math.exp(-z))
    loss += -(t * math.log(p) + (1 - t) * math.log(1 - p))
    dz = 2 * (p - t)
    dw[0] += dz * x[0]
    dw[1] += dz * x[1]
    dbias += dz
w -= 0.1 * dw
bias -= 0.1 * dbias
"""
    assert _names(one_by_one, *{*Verdict} - {Verdict.INHERITED, Verdict.CORRECT}) == ["dz"]


def test_a_factor_is_handed_on_by_a_line_that_wrong_ones_read() -> None:
    """Only the decay is wrong, once for each layer; what is handed back is kept as n times the gradient."""
    decays = """
import numpy as np
rng = np.random.RandomState(7)
n, X, Y = 12, rng.randn(6, 12), (rng.rand(1, 12) > 0.5) * 1.0
M, c, N, e = rng.randn(5, 6) * 0.5, np.zeros((5, 1)), rng.randn(1, 5) * 0.5, np.zeros((1, 1))
def back(dZ, A, W):
    return np.dot(W.T, dZ), dZ @ A.T / n + 0.7 / (n - 1) * W, np.sum(dZ, axis=1, keepdims=True) / n
for epoch in range(3):
    H = np.tanh(M @ X + c)
    P = 1 / (1 + np.exp(-(N @ H + e)))
    loss = -np.sum(Y * np.log(P) + (1 - Y) * np.log(1 - P)) / n
    loss += 0.7 / (2 * n) * (np.sum(M**2) + np.sum(N**2))
    dP = -(Y / P - (1 - Y) / (1 - P))
    dH, dN, de = back(dP * P * (1 - P), H, N)
    dX, dM, dc = back(dH * (1 - H**2), X, M)
    M, c, N, e = M - 0.1 * dM, c - 0.1 * dc, N - 0.1 * dN, e - 0.1 * de
"""
    assert _names(decays, *{*Verdict} - {Verdict.CORRECT}) == ["dN", "dM"]
