"""What several accused lines read is at fault, and not those lines, whatever it is called."""

from __future__ import annotations

import pytest

from tests.support import VERDICTS_ONLY, report_on_source

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

# What a cell hands on is right as the gradient of its other input, whose numbers it has where the wrong gate is taken.
GATES = """
import torch
torch.manual_seed(6)
steps, n = 4, 5
xs, goal = torch.randn(steps, n), torch.randn(n)
Wk, Wn = torch.randn(n, n) * 0.5, torch.randn(n, n) * 0.5
cell, memo, loss = torch.zeros(n), [], 0.0
for t in range(steps):
    keep, new = torch.sigmoid(Wk @ xs[t]), torch.tanh(Wn @ xs[t])
    old = cell
    cell = keep * old + (1 - keep) * new
    memo.append((keep, new, old, xs[t], cell))
    loss = loss + ((cell - goal) ** 2).sum()
dWk, dWn = torch.zeros(n, n), torch.zeros(n, n)
back = torch.zeros(n)
for keep, new, old, x, cell in memo[::-1]:
    dcell = 2 * (cell - goal) + back
    dkeep = dcell * (old - new)
    dnew = dcell * (1 - keep)
    dWk += torch.outer(dkeep * keep * (1 - keep), x)
    dWn += torch.outer(dnew * (1 - new**2), x)
    back = dcell * keep
Wk -= 0.1 * dWk
Wn -= 0.1 * dWn
"""

# A sum that four lines build: the line with the wrong term.
TERMS = """
import torch
torch.manual_seed(9)
steps, n = 4, 3
xs, ys = torch.randn(steps, n), torch.randn(steps, n)
A, B, C = (torch.randn(n, n) * 0.5 for _ in range(3))
states, gates, loss = [torch.zeros(n)], [], 0.0
for t in range(steps):
    before = states[-1]
    open_ = torch.sigmoid(A @ before + xs[t])
    new = torch.tanh(B @ (open_ * before) + C @ xs[t])
    states.append(0.5 * before + new)
    gates.append((open_, new))
    loss = loss + ((states[-1] - ys[t]) ** 2).sum()
dA, dB, dC = torch.zeros(n, n), torch.zeros(n, n), torch.zeros(n, n)
carry = torch.zeros(n)
for t in reversed(range(steps)):
    open_, new = gates[t]
    before = states[t]
    dstate = carry + 2 * (states[t + 1] - ys[t])
    dpre = dstate * (1 - new**2)
    dshut = B.T @ dpre
    dgate = dshut * before * open_ * (1 - open_)
    dbefore = 0.5 * dstate
    dbefore += dshut * open_
    dbefore += A.T @ dgate
    dA += torch.outer(dgate, before)
    dB += torch.outer(dpre, open_ * before)
    dC += torch.outer(dpre, xs[t])
    carry = dbefore
A -= 0.1 * dA
B -= 0.1 * dB
C -= 0.1 * dC
"""

# `dm` is the gradient of `mean`, which has a name: what reads it forgets to divide.
GROUPS = """
import torch
torch.manual_seed(4)
group = torch.tensor([0, 0, 0, 1, 1, 2])
count = torch.bincount(group).float()[:, None]
x, goal, W = torch.randn(6, 3), torch.randn(3, 4), torch.randn(3, 4)
out = torch.tanh(x @ W)
mean = torch.zeros(3, 4).index_add(0, group, out) / count
loss = ((mean - goal) ** 2).sum()
dm = 2 * (mean - goal)
dout = dm[group] / count[group]
dpre = dout * (1 - out**2)
dW = x.T @ dpre
W -= 0.1 * dW
"""

WRONG = [
    ("a carry that is too small", CARRIED, "back = V.T @ dpre", "back = V.T @ dpre * 0.5"),
    ("a carry with the transpose forgotten", CARRIED, "back = V.T @ dpre", "back = V @ dpre"),
    ("a carry that lacks its factor: a second name", MEMORY, "later = dcell * keep", "later = dcell"),
    ("a carry with the factor of another line", MEMORY, "later = dcell * keep", "later = dcell * (1 - keep)"),
    ("a sign that makes it that of an unnamed value", GATE, "gate * (1 - gate)", "gate * (gate - 1)"),
    ("a carry through the wrong gate", GATES, "back = dcell * keep", "back = dcell * (1 - keep)"),
    ("a term without its factor", TERMS, "dbefore += dshut * open_", "dbefore += dshut"),
    ("a first term of the wrong size", TERMS, "dbefore = 0.5 * dstate", "dbefore = 0.25 * dstate"),
    ("a reader that forgets a step", GROUPS, "dm[group] / count[group]", "dm[group]"),
]


@pytest.mark.parametrize("program", [CARRIED, MEMORY, GATE, GATES, TERMS, GROUPS])
def test_right_programs(program: str) -> None:
    found = report_on_source(program, **VERDICTS_ONLY)
    assert not [row for row in found.rows if row.verdict.value in ("introduced", "compensated")]


@pytest.mark.parametrize(("about", "program", "old", "new"), WRONG, ids=[case[0] for case in WRONG])
def test_only_what_the_others_read_is_accused(about: str, program: str, old: str, new: str) -> None:
    text = program.replace(old, new)
    found = report_on_source(text, **VERDICTS_ONLY)
    accused = {row.location.line for row in found.rows if row.verdict.value in ("introduced", "compensated")}
    assert accused == {1 + text[: text.index(new)].count("\n")}


def test_what_is_carried_is_told_to_be_a_part() -> None:
    found = report_on_source(
        MEMORY.replace("later = dcell * keep", "later = dcell * keep * 0.5"), **VERDICTS_ONLY
    )
    (row,) = [row for row in found.rows if row.verdict.value == "introduced"]
    assert row.notes == ["meant is the part of it that comes back from line 8, which reads `cell` too"]
