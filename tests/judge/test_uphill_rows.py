"""One row at a time, uphill: what is only given another shape stays the multiple of the gradient that it is."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

PROGRAM = """
import numpy as np

rng = np.random.RandomState(4)
rows, goals = rng.rand(6, 3), rng.rand(6, 2)
weights = [rng.randn(3, 4), rng.randn(4, 2)]


def squash(z):
    return 1 / (1 + np.exp(-z))


for row, goal in zip(rows, goals):
    seen = [row]
    for w in weights:
        seen.append(squash(np.dot(seen[-1], w)))
    miss = goal - seen[-1]
    cost = np.average(miss**2)
    moves = []
    for i in (1, 0):
        delta = miss * seen[i + 1] * (1 - seen[i + 1])
        delta_row = delta.reshape(delta.shape[0], -1).T
        moves.append(np.dot(seen[i].reshape(-1, 1), delta_row))
        miss = np.dot(delta, weights[i].T)
    for w, move in zip(weights[::-1], moves):
        w += 0.5 * move
"""


def test_the_right_program_is_right() -> None:
    report = report_on_source(PROGRAM)
    assert report.findings == []
    assert {row.verdict.value for row in report.rows} == {"correct"}


@pytest.mark.parametrize(
    ("old", "new"),
    [("(1 - seen[i + 1])\n", "(1 + seen[i + 1])\n"), ("delta, weights[i].T", "2 * delta, weights[i].T")],
)
def test_one_wrong_line_is_found(old: str, new: str) -> None:
    report = report_on_source(PROGRAM.replace(old, new))
    line = PROGRAM[: PROGRAM.index(old)].count("\n") + 1
    accused = {f.location.line for f in report.findings if f.severity.value == "error"}
    assert accused == {line}
