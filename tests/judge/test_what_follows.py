"""What is computed from a gradient says what it is the gradient of, and as what multiple it is kept."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

ATTENTION = """
import torch

class Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v):
        scores = q @ k.transpose(-1, -2) * 0.4
        lse = torch.logsumexp(scores, -1, keepdim=True)
        out = torch.exp(scores - lse) @ v
        ctx.save_for_backward(q, k, v, out, lse)
        return out

    @staticmethod
    def backward(ctx, do):
        q, k, v, o, lse = ctx.saved_tensors
        delta = (do * o).sum(-1, keepdim=True)
        p = torch.exp(q @ k.transpose(-1, -2) * 0.4 - lse)
        dv = p.transpose(-1, -2) @ do
        dp = do @ v.transpose(-1, -2)
        ds = p * (dp - delta)
        return ds @ k * 0.4, ds.transpose(-1, -2) @ q * 0.4, dv

torch.manual_seed(1)
x, goal = torch.randn(2, 7, 5), torch.randn(2, 7, 5)
W = torch.nn.Parameter(torch.randn(3, 5, 5) * 0.5)
loss = ((Attend.apply(x @ W[0], x @ W[1], x @ W[2]) - goal) ** 2).mean()
loss.backward()
"""

LATE_MEAN = """
import torch
torch.manual_seed(12)
m = 30
X = torch.randn(5, m)
Y = (X.sum(0, keepdim=True) > 0).float()
W, b = torch.randn(1, 5) * 0.5, torch.zeros(1, 1)
A = torch.sigmoid(W @ X + b)
loss = -(Y * torch.log(A) + (1 - Y) * torch.log(1 - A)).mean()
dA = -(Y / A) + (1 - Y) / (1 - A)
dZ = dA * A * (1 - A)
dW = dZ @ X.T / m
db = dZ.sum(1, keepdim=True) / m
W = W - 0.5 * dW
b = b - 0.5 * db
"""

MEAN_IN_UPDATE = """
import torch
torch.manual_seed(21)
n = 25
x = torch.randn(n, 3)
t = (x.prod(1, keepdim=True) > 0).float()
u, v = torch.randn(3, 7), torch.randn(7, 1)
lr = 0.3
for epoch in range(3):
    hid = torch.tanh(x @ u)
    out = torch.sigmoid(hid @ v)
    loss = 0.5 * ((out - t) ** 2).mean()
    delta2 = (out - t) * out * (1 - out)
    delta1 = (delta2 @ v.T) * (1 - hid**2)
    v -= lr / n * (hid.T @ delta2)
    u -= lr / n * (x.T @ delta1)
"""

MIXTURE = """
import torch
torch.manual_seed(77)
x, goal = torch.randn(18, 5), torch.randn(18, 3)
keep = (torch.rand(18, 1) > 0.3).float()
Wg, We = torch.randn(5, 4) * 0.5, torch.randn(4, 5, 3) * 0.5
gate = torch.softmax(x @ Wg, 1)
each = torch.einsum("nd,edk->nek", x, We)
pred = (gate.unsqueeze(-1) * each).sum(1)
loss = (((pred - goal) ** 2) * keep).sum() / keep.sum()
de = (2 * (pred - goal) * keep / keep.sum()).unsqueeze(1)
dgate = (de * each).sum(-1)
deach = de * gate.unsqueeze(-1)
dscore = gate * (dgate - (dgate * gate).sum(1, keepdim=True))
dWg = x.T @ dscore
dWe = torch.einsum("nd,nek->edk", x, deach)
Wg -= 0.1 * dWg
We -= 0.1 * dWe
"""

# A value that is built over several lines: which of them wrote what is wrong.
LEAKY = """
import torch
torch.manual_seed(3)
x, t = torch.randn(24, 6), torch.randn(24, 4)
W1, W2 = torch.randn(6, 9) * 0.4, torch.randn(9, 4) * 0.4
a = x @ W1
h = torch.where(a > 0, a, 0.2 * a)
y = h @ W2
loss = ((y - t) ** 2).sum()
dy = 2 * (y - t)
dW2 = h.T @ dy
dh = dy @ W2.T
slope = torch.ones_like(a)
slope[a < 0] = 0.2
slope = slope * dh
dW1 = x.T @ slope
W1 -= 0.01 * dW1
W2 -= 0.01 * dW2
"""

HINGE = """
import torch
torch.manual_seed(14)
n, k = 20, 4
x, y, rows = torch.randn(n, 5), torch.randint(0, k, (n,)), torch.arange(n)
W = torch.randn(5, k) * 0.1
scores = x @ W
margins = torch.clamp(scores - scores[rows, y].unsqueeze(1) + 1.0, min=0)
margins[rows, y] = 0
loss = margins.sum() / n
dscores = torch.zeros_like(scores)
dscores[margins > 0] = 1.0
hits = dscores.sum(1)
dscores[rows, y] = -hits
dscores /= n
dW = x.T @ dscores
W -= 0.1 * dW
"""

# Values of all turns have one shape, and nothing names what `dct` is of.
CELL = """
import torch

torch.manual_seed(15)
B, T, D, H = 3, 4, 2, 5
x = torch.randn(T, B, D)
want = torch.randn(B, H)
W = torch.randn(D + H, 4 * H) * 0.4
bias = torch.zeros(4 * H)
for step in range(2):
    h, c = torch.zeros(B, H), torch.zeros(B, H)
    memo = []
    for t in range(T):
        z = torch.cat([x[t], h], 1)
        a = z @ W + bias
        i, f, o = (torch.sigmoid(p) for p in a[:, : 3 * H].chunk(3, 1))
        g = torch.tanh(a[:, 3 * H :])
        cp = c
        c = f * cp + i * g
        h = o * torch.tanh(c)
        memo.append((z, i, f, o, g, cp, c))
    loss = ((h - want) ** 2).mean()
    dW, dbias = torch.zeros_like(W), torch.zeros_like(bias)
    dh, dct = 2 * (h - want) / want.numel(), torch.zeros(B, H)
    for z, i, f, o, g, cp, c in memo[::-1]:
        do = dh * torch.tanh(c)
        dct = dh * o * (1 - torch.tanh(c) ** 2) + dct
        di, dg, df = dct * g, dct * i, dct * cp
        da = torch.cat([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)], 1)
        dW += z.T @ da
        dbias += da.sum(0)
        dh = (da @ W.T)[:, D:]
        dct = dct * f
    W -= 0.5 * dW
    bias -= 0.5 * dbias
"""

DIVIDED_WHERE_IT_MOVES = """
import torch
torch.manual_seed(3)
X, Y = torch.randn(20, 4), torch.randn(20, 2)
W, b = torch.randn(4, 2), torch.zeros(2)
m = X.shape[0]
for turn in range(50):
    out = X @ W + b
    loss = ((out - Y) ** 2).sum(1).mean()
    dout = 2 * (out - Y)
    dW = X.T @ dout
    db = dout.sum(0)
    W -= 0.1 / m * dW
    b -= 0.1 * db / m
"""

# The normalised values are equal to the output while the scale is one: only a probe point says which is meant.
HIDDEN_BY_ONES = """
import torch

class Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        r = 1 / (x.var(-1, keepdim=True, correction=0) + 1e-5) ** 0.5
        xh = (x - x.mean(-1, keepdim=True)) * r
        ctx.save_for_backward(xh, r, w)
        return xh * w[:, None]

    @staticmethod
    def backward(ctx, go):
        xh, r, w = ctx.saved_tensors
        gw = (go * xh).sum((0, 2))
        gh = go * w[:, None]
        gx = r * (gh - gh.mean(-1, keepdim=True) - xh * (gh * xh).mean(-1, keepdim=True))
        return gx, gw

torch.manual_seed(6)
x, goal = torch.randn(3, 5, 5), torch.randn(3, 5, 5)
V = torch.nn.Parameter(torch.randn(5, 5))
w = torch.nn.Parameter(torch.ones(5))
loss = ((Norm.apply(x @ V, w) - goal) ** 2).mean()
loss.backward()
"""

# Its loss has a minus sign as a factor; a first line that is wrong leaves no gradient that is right.
CONTRASTED = """
import torch
torch.manual_seed(17)
left, right = torch.randn(6, 4), torch.randn(6, 4)
P = torch.randn(4, 3)
za, zb = left @ P, right @ P
sim = za @ zb.T
row = sim.softmax(1)
nce = -0.5 * torch.log(row.diagonal()).mean()
dsim = 0.5 * (row - torch.eye(6)) / 6
dza = dsim @ zb
dzb = dsim.T @ za
dP = left.T @ dza + right.T @ dzb
P -= 0.1 * dP
"""

WRONG = [
    (DIVIDED_WHERE_IT_MOVES, "dW = X.T @ dout", "dW = 2 * X.T @ dout"),
    (DIVIDED_WHERE_IT_MOVES, "dW = X.T @ dout", "dW = X.T @ dout / m"),
    (DIVIDED_WHERE_IT_MOVES, "db = dout.sum(0)", "db = dout.mean(0)"),
    (HIDDEN_BY_ONES, "gh = go * w[:, None]", "gh = go * w"),
    (CONTRASTED, "dsim = 0.5 * (row - torch.eye(6)) / 6", "dsim = (row - torch.eye(6)) / 6"),
    (CELL, "dct = dh * o * (1 - torch.tanh(c) ** 2) + dct", "dct = dh * o * (1 - torch.tanh(c) ** 2)"),
    (ATTENTION, "ds = p * (dp - delta)", "ds = p * dp"),
    (ATTENTION, "return ds @ k * 0.4, ", "return ds @ k, "),
    (LATE_MEAN, "dZ = dA * A * (1 - A)", "dZ = dA * A * (1 + A)"),
    (LATE_MEAN, "db = dZ.sum(1, keepdim=True) / m", "db = dZ.sum(1, keepdim=True)"),
    (LATE_MEAN, "dZ = dA * A * (1 - A)", "dZ = dA * (A > 0)"),
    (MEAN_IN_UPDATE, "delta1 = (delta2 @ v.T) * (1 - hid**2)", "delta1 = (delta2 @ v.T) * (1 - hid)"),
    (MEAN_IN_UPDATE, "(x.T @ delta1)", "(x.T @ delta1 * 3 + u)"),
    (MIXTURE, "* keep / keep.sum())", "* keep / 18)"),
    (LEAKY, "slope[a < 0] = 0.2", "slope[a < 0] = 0.5"),
    (LEAKY, "slope = slope * dh", "slope = slope + dh"),
    (HINGE, "dscores[margins > 0] = 1.0", "dscores[margins >= 0] = 1.0"),
    (HINGE, "dscores[rows, y] = -hits", "dscores[rows, y] = hits"),
    (HINGE, "dscores /= n", "dscores /= n - 1"),
]


MORE = [DIVIDED_WHERE_IT_MOVES, HIDDEN_BY_ONES, CONTRASTED]


def _accused(source: str) -> set[int]:
    report = report_on_source(source)
    assert report.passes
    return {
        f.location.line for f in report.findings if f.location is not None and f.rule in ("GC101", "GC102")
    }


@pytest.mark.parametrize("source", [ATTENTION, LATE_MEAN, MEAN_IN_UPDATE, MIXTURE, LEAKY, HINGE, CELL, *MORE])
def test_what_is_right_is_not_accused(source: str) -> None:
    assert _accused(source) == set()


@pytest.mark.parametrize(("source", "right", "wrong"), WRONG)
def test_the_wrong_line_alone_is_accused(source: str, right: str, wrong: str) -> None:
    assert source.count(right) == 1
    line = source[: source.index(right)].count("\n") + 1
    assert _accused(source.replace(right, wrong)) == {line}
