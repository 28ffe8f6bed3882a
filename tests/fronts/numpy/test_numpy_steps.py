"""Programs that compute with NumPy: what is written on the tape gives the same numbers again, and leaves them as they are."""

from __future__ import annotations

import pytest

from gradcheck.judge.verdict import Verdict
from gradcheck.report.model import Report
from tests.support import report_on_source

STEP = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(12, 4))
y = rng.integers(0, 3, 12)
W1 = rng.normal(0, 0.5, size=(4, 6))
b1 = rng.normal(0, 0.1, size=6)
W2 = rng.normal(0, 0.5, size=(6, 3))
lr = 0.1
for step in range(20):
    h = np.tanh(X @ W1 + b1)
    logits = h @ W2
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(probs[np.arange(12), y]).mean()
    dlogits = probs.copy()
    dlogits[np.arange(12), y] -= 1
    dlogits /= 12
    dW2 = h.T @ dlogits
    dz = dlogits @ W2.T * (1 - h ** 2)
    dW1 = X.T.dot(dz)
    db1 = np.sum(dz, axis=0)
    W1 -= lr * dW1
    b1 -= lr * db1
    W2 -= lr * dW2
print(loss)
"""


def verdicts(report: Report) -> dict[str, Verdict]:
    return {row.name: row.verdict for found in report.passes for row in found.gradients}


def test_a_right_step_is_right() -> None:
    report = report_on_source(STEP)
    assert set(verdicts(report)) >= {"dlogits", "dW2", "dz", "dW1", "db1"}
    assert set(verdicts(report).values()) == {Verdict.CORRECT}
    assert not report.program.notes


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("(1 - h ** 2)", "(1 - h)", "dz"),
        ("np.sum(dz, axis=0)", "np.mean(dz, axis=0)", "db1"),
        ("X.T.dot(dz)", "2 * X.T.dot(dz)", "dW1"),
    ],
)
def test_a_wrong_line_is_found_and_the_fix_is_proved(right: str, wrong: str, name: str) -> None:
    report = report_on_source(STEP.replace(right, wrong), fix_budget_s=20.0)
    assert verdicts(report)[name] is Verdict.INTRODUCED
    assert any(finding.fix is not None for finding in report.findings)


def test_what_has_no_counterpart_is_unchecked() -> None:
    report = report_on_source(STEP.replace("X.T.dot(dz)", "np.vectorize(lambda v: v)(X.T.dot(dz))"))
    assert Verdict.INTRODUCED not in verdicts(report).values()
    assert verdicts(report)["dW1"] is Verdict.UNCHECKED
