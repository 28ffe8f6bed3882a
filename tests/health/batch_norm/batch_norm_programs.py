"""Small training programs with batch normalisation, put together from parts that a test can exchange."""

from __future__ import annotations

from typing import Any

from gradcheck.report.model import Report
from tests.support import report_on_source

STATISTICS = """\
mean = z.mean(0, keepdim=True)
var = z.var(0, keepdim=True)
norm = (z - mean) * (var + 1e-5) ** -0.5"""

START = """\
import torch
import torch.nn.functional as F

torch.manual_seed(3)
X = torch.randn(300, 8) * 2 + 1
Y = (X[:, 0] * X[:, 1] > X[:, 2]).long()
W1 = torch.randn(8, 12) * {size}
b1 = torch.randn(12)
gamma = torch.rand(12) + 0.5
beta = torch.randn(12) * 0.3
W2 = torch.randn(12, 2) * 0.3
running_mean, running_var = torch.zeros(1, 12), torch.ones(1, 12)
for step in range(1000):
    rows = torch.randint(0, 300, ({batch},))
    x = X[rows]
    z = x @ W1{bias}
"""
END = """\
    out = gamma * norm + beta
    h = torch.tanh(out)
    logits = h @ W2
    loss = F.cross_entropy(logits, Y[rows])
    dlogits = F.softmax(logits, 1)
    dlogits[range({batch}), Y[rows]] -= 1
    dlogits /= {batch}
    dW2 = h.T @ dlogits
    dout = (dlogits @ W2.T) * (1 - h**2)
    dgamma = (dout * norm).sum(0)
    dbeta = dout.sum(0)
    dW1, db1 = x.T @ dout, dout.sum(0)  # not right: that is no matter here
{running}
    for p, d in ((W1, dW1), (b1, db1), (W2, dW2), (gamma, dgamma), (beta, dbeta)):
        p -= 0.1 * d
{after}
"""


def program(
    statistics: str = STATISTICS,
    *,
    batch: int = 32,
    size: float = 0.5,
    bias: bool = False,
    running: str = "",
    after: str = "",
) -> str:
    """One layer, normalised by `statistics` from `z` to `norm`; `running` runs in each step, `after` in the end."""
    start = START.format(batch=batch, size=size, bias=" + b1" if bias else "")
    end = END.format(batch=batch, running=_indented(running), after=after)
    return start + _indented(statistics) + "\n" + end


def batch_norm_report(text: str, **options: Any) -> Report:
    return report_on_source(text, select=("GC3",), **options)


def codes(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
