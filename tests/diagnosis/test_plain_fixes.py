"""Of the edits that fit, the one that a person would write: no arithmetic on numbers that happens to come out right, a name
instead of a number, and nothing that is not there yet."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

STEP = """
import torch
torch.manual_seed(4)
x, y = torch.randn(12, 5), torch.randn(12, 4)
A, B = torch.randn(5, 6) * 0.5, torch.randn(6, 4) * 0.5
push = 0.3
z = x @ A
h = torch.where(z > 0, z, 0.2 * z)
out = torch.softmax(-(h @ B), 1)
loss = ((out - y) ** 2).sum() / 12 + push * (h ** 2).sum() / 24
dout = 2 * (out - y) / 12
p = torch.softmax(-(h @ B), 1)
ds = -p * (dout - (p * dout).sum(1, keepdim=True))
dB = h.T @ ds
dh = ds @ B.T + push * h / 12
dz = torch.where(z > 0, dh, 0.2 * dh)
dA = x.T @ dz
A -= 0.1 * dA
B -= 0.1 * dB
"""
EDITS = [
    ("0.2 * dh", "0.02 * dh", ("0.2 * dh",)),
    ("+ push * h / 12", "+ h / 12", ("push * h / 12", "h / 12 * push", "h * push / 12")),
    ("p = torch.softmax(-(h @ B), 1)", "p = torch.softmax(h @ B, 1)", ("-(h @ B)", "-h @ B")),
]


@pytest.mark.parametrize(("right", "wrong", "wanted"), EDITS, ids=["number", "name", "sign"])
def test_as_a_person_would_write_it(right: str, wrong: str, wanted: tuple[str, ...]) -> None:
    found = report_on_source(STEP.replace(right, wrong), fix_budget_s=20.0)
    (finding,) = [finding for finding in found.findings if finding.rule == "GC101"]
    assert finding.fix is not None
    assert finding.fix.verified
    assert finding.fix.replacement in wanted


def test_a_name_that_its_own_statement_makes_is_not_read() -> None:
    epochs = """
import numpy as np
rng = np.random.default_rng(1)
X, T, M = rng.normal(size=(9, 4)), rng.normal(size=(9, 2)), rng.normal(size=(4, 2))
for epoch in range(3):
    P = X @ M
    loss = ((P - T) ** 2).sum() / 2 / len(X)
    delta = T - P
    dM = X.T @ delta
    M = M - 0.1 * dM
"""
    for finding in report_on_source(epochs, fix_budget_s=20.0).findings:
        assert finding.fix is None or "delta" not in finding.fix.replacement


COLUMN = """
import numpy as np
rng = np.random.default_rng(3)
X, t, w, v = rng.normal(size=(9, 3)), rng.normal(size=9), rng.normal(size=(3, 4)), rng.normal(size=(4, 1))
for step in range(5):
    h = np.tanh(X @ w)
    out = h @ v
    loss = np.mean((out - t) ** 2)
    dout = 2 * (out - t[:, None]) / len(X)
    dv = h.T @ dout
    dz = dout @ v.T * (1 - h**2)
    dw = X.T @ dz
    v -= 0.1 * dv
    w -= 0.1 * dw
"""


def test_what_a_loss_broadcasts_is_put_right_there() -> None:
    """No edit makes the backward pass fit a loss in which each row is compared with every other."""
    (finding,) = report_on_source(COLUMN, fix_budget_s=20.0).findings
    assert finding.location.line == 8
    assert "broadcasts a column and a row to (9, 9)" in finding.message
    assert finding.fix is not None
    assert finding.fix.verified
    assert finding.fix.replacement == "t.reshape(-1, 1)"


def test_a_backward_pass_that_broadcasts_as_the_loss_does_is_right() -> None:
    spread = "(2 * (out - t) / (out - t).size).sum(axis=1, keepdims=True)"
    assert not report_on_source(COLUMN.replace("2 * (out - t[:, None]) / len(X)", spread)).findings


def test_a_bound_that_nothing_reaches_is_no_fix() -> None:
    """The pass cuts off at 2 what goes up to about 3: any wider bound fits, and 4 is none that anybody wrote."""
    capped = """
import torch
torch.manual_seed(0)
x, w = torch.randn(40, 5), torch.randn(5, 3) * 0.5
z = x @ w
p = torch.exp(z)
loss = p.sum() / 40
dz = torch.exp(z.clamp(-9, 2)) / 40
dw = x.T @ dz
w -= 0.01 * dw
"""
    (finding,) = [f for f in report_on_source(capped, fix_budget_s=20.0).findings if f.rule == "GC101"]
    assert finding.fix is not None
    assert finding.fix.verified
    assert "4" not in finding.fix.replacement.replace("40", "")
