"""Where a line's names, numbers and neighbours make a proof hard: the fix is found, and proved."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

# The function around `back` is called three times: which `w` and `inp` it reads, only its own call says.
CLOSURES = """
import torch
torch.manual_seed(2)
found = []
def dense(inp, w):
    def back(up):
        found.append(inp.T @ up)
        return up @ w.T
    return inp @ w, back
def squash(inp):
    out = torch.tanh(inp)
    def back(up):
        return up * (1 - out**2)
    return out, back
X, T = torch.randn(9, 4), torch.randn(9, 2)
A, B, C = torch.randn(4, 6) * 0.4, torch.randn(6, 5) * 0.4, torch.randn(5, 2) * 0.4
a, back_a = dense(X, A)
h, back_h = squash(a)
b, back_b = dense(h, B)
g, back_g = squash(b)
y, back_y = dense(g, C)
loss = ((y - T) ** 2).sum() / 9
dy = 2 * (y - T) / 9
dg = back_y(dy)
db = back_g(dg)
dh = back_b(db)
da = back_h(dh)
back_a(da)
"""

# One parameter moves before the gradient of the other is read: the edits are tried on what was there before.
FUNCTIONS = """
import torch
torch.manual_seed(5)
class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, mix, gain):
        raw = rows @ mix
        ctx.save_for_backward(rows, mix, gain, raw)
        return raw * gain
    @staticmethod
    def backward(ctx, up):
        rows, mix, gain, raw = ctx.saved_tensors
        down = up * gain
        return down @ mix.T, rows.T @ down, (up * raw).sum()
rows, goal = torch.randn(7, 4), torch.randn(7, 4)
mix, gain = torch.randn(4, 4, requires_grad=True), torch.tensor(0.6, requires_grad=True)
for turn in range(20):
    out = Scaled.apply(torch.tanh(Scaled.apply(rows, mix, gain)), mix, gain)
    loss = ((out - goal) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        mix -= 0.1 * mix.grad
        gain -= 0.1 * gain.grad
        mix.grad = gain.grad = None
"""

COMPLEX = """
import torch
torch.manual_seed(6)
wave, power = torch.randn(10, 3, dtype=torch.cfloat), torch.rand(10, 4)
M, shift = torch.randn(3, 4, dtype=torch.cfloat) * 0.5, torch.zeros(4, dtype=torch.cfloat)
z = wave @ M + shift
size = z.real**2 + z.imag**2
loss = ((size - power) ** 2).mean()
dsize = 2 * (size - power) / size.numel()
dz = 2 * dsize * z
dM = wave.conj().T @ dz
dshift = dz.sum(0)
M, shift = M - 0.1 * dM, shift - 0.1 * dshift
"""

# The batch is written as a number, in lines that are right too: at another size it would be another number.
WRITTEN_SIZE = """
import torch
torch.manual_seed(7)
X, T = torch.randn(28, 5), torch.randn(28, 3)
U, V = torch.randn(5, 8), torch.randn(8, 3)
h = torch.sigmoid(X @ U)
y = h @ V
loss = 0.5 * (y - T).pow(2).sum(1).mean()
dy = (y - T) / 28
dV = h.T @ dy
dh = dy @ V.T
dU = X.T @ (dh * h * (1 - h))
U, V = U - 0.1 * dU, V - 0.1 * dV
"""

INSIDE_OF_CALLS = """
import torch
torch.manual_seed(8)
X, T, W = torch.randn(9, 6), torch.randn(9, 5), torch.randn(6, 5) * 0.5
pre = X @ W
low = pre - pre.mean(1, keepdim=True)
scale = (low.pow(2).mean(1, keepdim=True) + 1e-5) ** -0.5
hat = low * scale
act = torch.where(hat > 0, hat, hat.exp() - 1)
loss = ((act - T) ** 2).mean()
dact = 2 * (act - T) / act.numel()
dhat = torch.where(hat > 0, dact, dact * hat.exp())
dpre = scale * (dhat - dhat.mean(1, keepdim=True) - hat * (dhat * hat).mean(1, keepdim=True))
dW = X.T @ dpre
W = W - 0.1 * dW
"""

# What stands in the gradient's place at the step is on purpose; a line behind it is wrong in both of its runs.
BEHIND_A_STEP = """
import torch
torch.manual_seed(9)
class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return torch.where(v < 0, -1.0, 1.0)
    @staticmethod
    def backward(ctx, up):
        (v,) = ctx.saved_tensors
        return up * (v.abs() < 1.5)
class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, one, two):
        ctx.save_for_backward(one, two)
        return one @ two
    @staticmethod
    def backward(ctx, up):
        one, two = ctx.saved_tensors
        return up @ two.T, one.T @ up
codes, goal = torch.randn(5, 5, requires_grad=True), torch.randn(5, 5)
P, Q = torch.randn(5, 5, requires_grad=True), torch.randn(5, 5, requires_grad=True)
for turn in range(5):
    loss = ((Product.apply(Sign.apply(Product.apply(codes, P)), Q) - goal) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        for moved in (codes, P, Q):
            moved -= 0.1 * moved.grad
            moved.grad = None
"""

CASES = {
    "closures": (CLOSURES, "return up * (1 - out**2)", "return torch.ones_like(up) * (1 - out**2)"),
    "closures, the number": (CLOSURES, "(1 - out**2)", "(1 - out)"),
    "functions": (FUNCTIONS, "down @ mix.T,", "down @ mix,"),
    "complex": (COMPLEX, "dshift = dz.sum(0)", "dshift = 2 * dz.sum(0)"),
    "in a receiver": (INSIDE_OF_CALLS, "(dhat * hat).mean", "hat.mean"),
    "in an argument": (INSIDE_OF_CALLS, "dact, dact * hat.exp())", "dact, hat.exp())"),
    "behind a step": (BEHIND_A_STEP, "return up @ two.T,", "return up @ one.T,"),
}


def test_a_written_size_stays_as_it_is() -> None:
    found = report_on_source(WRITTEN_SIZE.replace("(y - T) / 28", "-((y - T) / 28)"), fix_budget_s=20.0)
    (fix,) = [finding.fix for finding in found.findings if finding.fix is not None]
    assert fix.verified
    assert fix.replacement == "(y - T) / 28"


@pytest.mark.parametrize("case", CASES)
def test_it_is_proved(case: str) -> None:
    source, right, wrong = CASES[case]
    assert source.count(right) == 1
    found = report_on_source(source.replace(right, wrong), fix_budget_s=20.0)
    (finding,) = [finding for finding in found.findings if finding.rule == "GC101"]
    assert finding.location.line == 1 + source[: source.index(right)].count("\n")
    assert finding.fix is not None
    assert finding.fix.verified, finding.helps


# What is passed on is kept as a multiple, what the parameters move by is not.
MEANS_LAST = """
import numpy as np
rng = np.random.default_rng(4)
X, Y = rng.normal(size=(3, 5)), rng.integers(0, 2, size=(1, 5))
W1, b1 = rng.normal(size=(4, 3)), np.zeros((4, 1))
W2, b2 = rng.normal(size=(1, 4)), np.zeros((1, 1))
m = X.shape[1]
Z1 = W1 @ X + b1
A1 = np.tanh(Z1)
Z2 = W2 @ A1 + b2
A2 = 1 / (1 + np.exp(-Z2))
cost = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
dZ2 = A2 - Y
dW2 = 1 / m * dZ2 @ A1.T
db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)
dZ1 = W2.T @ dZ2 * (1 - A1**2)
dW1 = 1 / m * dZ1 @ X.T
db1 = 1 / m * np.sum(dZ1, axis=1, keepdims=True)
print(dW1, db1, dW2, db2)
"""


@pytest.mark.parametrize("factor", ["2", "3"])
def test_a_parameters_gradient_is_no_multiple_where_those_of_the_others_are_none(factor):
    right = "dW1 = 1 / m * dZ1 @ X.T"
    report = report_on_source(MEANS_LAST.replace(right, f"{right} * {factor}"), fix_budget_s=20.0)
    (finding,) = [each for each in report.findings if each.rule == "GC101"]
    assert finding.fix is not None
    assert f"it is {factor} times what it should be" in " ".join(finding.notes)
    assert right.endswith(finding.fix.replacement.strip())
