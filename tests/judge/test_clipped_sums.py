"""Gradients of several micro batches, summed in a dict and clipped by their common norm before the step: the clipped ones
are what was judged before, and the factor 1/n that is put in at the end is a convention of all lines."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

PROGRAM = """
import torch
torch.manual_seed(3)
inputs, goals = torch.randn(12, 3), torch.randn(12, 2)
A, B = torch.randn(3, 5) * 0.6, torch.randn(5, 2) * 0.6
parts = 4
for step in range(3):
    total = 0.0
    sums = {"A": torch.zeros(3, 5), "B": torch.zeros(5, 2)}
    for x, goal in zip(inputs.chunk(parts), goals.chunk(parts)):
        h = torch.sigmoid(x @ A)
        out = h @ B
        total = total + ((out - goal) ** 2).mean() / parts
        gout = 2 * (out - goal) / out.numel()
        gh = gout @ B.t()
        gz = gh * h * (1 - h)
        sums["B"] += h.t() @ gout / parts
        sums["A"] += x.t() @ gz / parts
    size = torch.sqrt(sum((each**2).sum() for each in sums.values()))
    if size > 0.01:
        for name in sums:
            sums[name] *= 0.01 / (size + 1e-6)
    A = A - 0.5 * sums["A"]
    B = B - 0.5 * sums["B"]
"""


def test_the_right_program_is_right() -> None:
    (judged,) = report_on_source(PROGRAM).passes
    assert {row.verdict.value for row in judged.gradients} == {"correct"}
    assert len(judged.gradients) == 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gh = gout @ B.t()", "gh = gout @ B.t() * gout.norm()"),
        ('sums["A"] += x.t() @ gz / parts', 'sums["A"] += x.t() @ gz'),
        ('sums["B"] += h.t() @ gout / parts', 'sums["B"] = h.t() @ gout / parts'),
    ],
)
def test_one_wrong_line_is_found(old: str, new: str) -> None:
    report = report_on_source(PROGRAM.replace(old, new), fix_budget_s=0.0)
    line = PROGRAM[: PROGRAM.index(old)].count("\n") + 1
    accused = {f.location.line for f in report.findings if f.severity.value == "error" and f.location}
    assert accused == {line}
