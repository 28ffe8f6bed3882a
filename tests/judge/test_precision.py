"""The number as it was run: a right formula, and a number that is far off in the program's own types."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

STEP = """
import torch, torch.nn.functional as F
torch.manual_seed(0)
x, y = torch.rand(500, 4), torch.randint(0, 3, (500,))
W, b = torch.randn(4, 3), torch.zeros(3)
logits = x @ W + b
loss = F.cross_entropy(logits, y)
dlogits = (F.softmax(logits, 1) - F.one_hot(y, 3)) / 500
dW = x.T @ dlogits
{db}
W -= 0.1 * dW
b -= 0.1 * db.float()
"""
ROW_BY_ROW = """
db = torch.zeros(3, dtype=torch.{dtype})
for row in dlogits:
    db += row.to(torch.{dtype})
"""


def test_a_sum_that_is_kept_in_a_type_too_narrow_for_it() -> None:
    found = report_on_source(STEP.format(db=ROW_BY_ROW.format(dtype="bfloat16")))
    (finding,) = [finding for finding in found.findings if finding.rule == "GC110"]
    assert "`db` is computed by a right formula, and its number is far off" in finding.message
    (row,) = [row for row in found.rows if row.name == "db"]
    assert row.verdict.value == "correct"
    assert row.run_error is not None
    assert row.run_error > 0.05
    assert row.careful_error is not None
    assert row.careful_error < 1e-4


@pytest.mark.parametrize(
    "db",
    [
        ROW_BY_ROW.format(dtype="float32"),
        "db = dlogits.sum(0)",
        "db = dlogits.bfloat16().sum(0)",  # added up in float32, and rounded once
        "db = (torch.ones(1, 500).bfloat16() @ dlogits.bfloat16())[0]",
    ],
)
def test_ordinary_rounding_is_no_finding(db: str) -> None:
    assert not [
        finding for finding in report_on_source(STEP.format(db=db)).findings if finding.rule == "GC110"
    ]


def test_a_number_that_left_its_type_is_not_finite_rather_than_imprecise() -> None:
    db = "db = (dlogits.half() * 60000 * 60000 / 60000 / 60000).float().sum(0)"
    found = report_on_source(STEP.format(db=db), select=("GC1",))
    (finding,) = found.findings
    assert (finding.rule, finding.location.line) == ("GC108", 10)
    assert "in float64 the formula is right" in finding.notes[0]


def test_what_only_the_programs_own_type_can_hold_is_unchecked():
    report = report_on_source("""
        import torch
        torch.manual_seed(0)
        x, W = torch.randn(8, 3), torch.randn(3, 4)
        h = x @ W
        loss = (h**2).mean()
        dextra = torch.quantize_per_tensor(torch.randn(8, 3), 0.1, 0, torch.qint8)
        dh = 2 * h / 32
        dW = x.T @ dh
    """)
    verdicts = {row.name: row.verdict.value for row in report.rows}
    assert verdicts["dextra"] == "unchecked"
    assert verdicts["dW"] == "correct"


GUARDED = """
import torch

torch.manual_seed(0)
x = torch.randn(30, 1)
x[3] = 1e-3
scale = torch.tensor([1.3])
dy = torch.randn(30, 1)
dy[3] = 9.0
u0 = x.sign()
dy[4] -= (dy * u0).sum() * u0[4] - 2.0 * u0[4]
r = (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
u = x * r
y = u * scale
loss = (y * dy).sum()
dscale = (dy * u).sum(0)
du = dy
dx = (du - u * (du * u).mean(-1, keepdim=True)) * r
"""


def test_a_number_that_was_run_with_a_guard_is_not_compared_with_one_without() -> None:
    report = report_on_source(GUARDED)
    assert "guard" in report.passes[0].notes[0]
    assert [f.rule for f in report.findings] == []


def test_a_sum_of_many_terms_in_few_bits() -> None:
    source = """
        import torch
        torch.manual_seed(9)
        X, y, W = torch.randn(512, 6) + 1, torch.randn(512, 2), torch.randn(6, 2)
        out = X @ W
        loss = ((out - y) ** 2).mean()
        dout = 2 * (out - y) / out.numel()
        total = torch.zeros(6, 2, dtype=torch.{dtype})
        for first in range(0, 512, 4):
            total += X[first:first + 4].T @ dout[first:first + 4]
        dW = total.float()
        W = W - 0.5 * dW
    """
    rules = {
        dtype: [f.rule for f in report_on_source(source.format(dtype=dtype)).findings if f.rule < "GC2"]
        for dtype in ("float32", "bfloat16")
    }
    assert rules == {"float32": [], "bfloat16": ["GC110"]}
