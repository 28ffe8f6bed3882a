"""What several accused lines read is at fault, and not those lines, whatever it is called."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

CARRIED = """
import torch
torch.manual_seed(1)
steps, n = 4, 3
xs, ys = torch.randn(steps, n), torch.randn(steps, n)
U, V = torch.randn(n, n) * 0.5, torch.randn(n, n) * 0.5
states, loss = [torch.zeros(n)], 0.0
for t in range(steps):
    s = torch.tanh(U @ xs[t] + V @ states[-1])
    states.append(s)
    loss = loss + ((s - ys[t]) ** 2).sum()
dU, dV = torch.zeros(n, n), torch.zeros(n, n)
back = torch.zeros(n)
for t in reversed(range(steps)):
    ds = 2 * (states[t + 1] - ys[t]) + back
    dpre = ds * (1 - states[t + 1] ** 2)
    dU += torch.outer(dpre, xs[t])
    dV += torch.outer(dpre, states[t])
    back = V.T @ dpre
U -= 0.1 * dU
V -= 0.1 * dV
"""

# A cell with a memory: what is carried of it is a part of its gradient.
MEMORY = """
import numpy as np
rng = np.random.default_rng(3)
xs, keep = rng.normal(size=(4, 5)), rng.uniform(0.3, 0.9, size=5)
W, ys = rng.normal(size=(5, 5)) * 0.4, rng.normal(size=(4, 5))
cells, loss = [np.zeros(5)], 0.0
for t in range(4):
    cell = keep * cells[-1] + np.tanh(W @ xs[t])
    out = np.sin(cell)
    loss += ((out - ys[t]) ** 2).sum()
    cells.append(cell)
dW, dkeep = np.zeros_like(W), np.zeros_like(keep)
later = np.zeros(5)
for t in (3, 2, 1, 0):
    dcell = later + 2 * (np.sin(cells[t + 1]) - ys[t]) * np.cos(cells[t + 1])
    dkeep += dcell * cells[t]
    dact = dcell * (1 - np.tanh(W @ xs[t]) ** 2)
    dW += np.outer(dact, xs[t])
    later = dcell * keep
W = W - 0.1 * dW
keep = keep - 0.1 * dkeep
"""

# `dgate` with the wrong sign is the gradient of the `-a` that nobody named.
GATE = """
import torch
torch.manual_seed(2)
x, y, W, K = torch.randn(6, 4), torch.randn(6, 3), torch.randn(4, 3), torch.randn(4, 3)
def squash(a):
    return 1 / (1 + torch.exp(-a))
gate, value = squash(x @ W), x @ K
loss = ((gate * value - y) ** 2).mean()
dout = 2 * (gate * value - y) / 18
dvalue = dout * gate
dgate = dout * value * gate * (1 - gate)
dK = x.T @ dvalue
dW = x.T @ dgate
dx = dvalue @ K.T + dgate @ W.T
W -= 0.1 * dW
K -= 0.1 * dK
"""

WRONG = [
    ("a carry that is too small", CARRIED, "back = V.T @ dpre", "back = V.T @ dpre * 0.5"),
    ("a carry with the transpose forgotten", CARRIED, "back = V.T @ dpre", "back = V @ dpre"),
    ("a carry that lacks its factor: a second name", MEMORY, "later = dcell * keep", "later = dcell"),
    ("a carry with the factor of another line", MEMORY, "later = dcell * keep", "later = dcell * (1 - keep)"),
    ("a sign that makes it that of an unnamed value", GATE, "gate * (1 - gate)", "gate * (gate - 1)"),
]


@pytest.mark.parametrize("program", [CARRIED, MEMORY, GATE], ids=["carried", "memory", "gate"])
def test_right_programs(program: str) -> None:
    found = report_on_source(program)
    assert not [row for row in found.rows if row.verdict.value in ("introduced", "compensated")]


@pytest.mark.parametrize(("about", "program", "old", "new"), WRONG, ids=[case[0] for case in WRONG])
def test_only_what_the_others_read_is_accused(about: str, program: str, old: str, new: str) -> None:
    text = program.replace(old, new)
    found = report_on_source(text)
    accused = {row.location.line for row in found.rows if row.verdict.value in ("introduced", "compensated")}
    assert accused == {1 + text[: text.index(new)].count("\n")}


def test_what_is_carried_is_told_to_be_a_part() -> None:
    found = report_on_source(MEMORY.replace("later = dcell * keep", "later = dcell * keep * 0.5"))
    (row,) = [row for row in found.rows if row.verdict.value == "introduced"]
    assert row.notes == ["meant is the part of it that comes back from line 8, which reads `cell` too"]
