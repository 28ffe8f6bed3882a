"""A small right network, and what can be changed about it."""

from __future__ import annotations

import textwrap
from typing import Any

from gradcheck.report.model import Report
from tests.support import report_on_source

_NETWORK = """\
import torch
import torch.nn.functional as F

torch.manual_seed(3)
X = torch.randn(400, 12)
Y = (X[:, :8] + 0.5 * torch.randn(400, 8)).argmax(1)
W1 = {first}
b1 = {bias}
W2 = {last}
b2 = torch.zeros(8)
{before}
for step in range(1000):
    ix = torch.randint(0, 400, (64,))
    x, y = X[ix], Y[ix]
    h = torch.tanh(x @ W1 + b1)
    logits = h @ W2 + b2
{loss}
    dlogits = F.softmax(logits, 1)
    dlogits[range(64), y] -= 1
    dlogits = dlogits / 64
    dW2, db2 = h.T @ dlogits, dlogits.sum(0)
    dh = dlogits @ W2.T
    dpre = dh * (1 - h**2)
    dW1, db1 = x.T @ dpre, dpre.sum(0)
{update}
"""
PLAIN_LOSS = "loss = F.cross_entropy(logits, y)"
PLAIN_UPDATE = """\
for p, g in zip([W1, b1, W2, b2], [dW1, db1, dW2, db2]):
    p -= lr * g
"""


def network(
    first: str = "torch.randn(12, 30) / 12**0.5",
    last: str = "torch.randn(30, 8) / 30**0.5",
    bias: str = "torch.zeros(30)",
    before: str = "lr = 0.1",
    loss: str = PLAIN_LOSS,
    update: str = PLAIN_UPDATE,
) -> str:
    """The program as text."""
    inner = {"loss": textwrap.indent(loss, "    "), "update": textwrap.indent(update, "    ")}
    return _NETWORK.format(first=first, last=last, bias=bias, before=before, **inner)


def report(program: str, at: tuple[int, ...] = (0,), **options: Any) -> Report:
    return report_on_source(program, at=at, select=("GC4",), **options)


def line_of(program: str, text: str) -> int:
    """The number of the first line that holds `text`."""
    return next(n for n, line in enumerate(program.splitlines(), 1) if text in line)
