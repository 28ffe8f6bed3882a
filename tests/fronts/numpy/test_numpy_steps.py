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


LAYERS = """
import numpy as np

class Dense:
    def __init__(self, n, m):
        self.W, self.b = np.random.randn(n, m), np.zeros((1, m))

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, gradiente, rate):
        dW, db = self.x.T @ gradiente, gradiente.sum(axis=0, keepdims=True)
        back = gradiente @ self.W.T
        self.W, self.b = self.W - rate * dW, self.b - rate * db
        return back

class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, gradiente, rate):
        return gradiente * (1 - self.out**2)

np.random.seed(0)
x, y = np.random.randn(6, 3), np.random.randn(6, 1)
net = [Dense(3, 4), Tanh(), Dense(4, 1)]
for epoch in range(9):
    out = x
    for layer in net:
        out = layer.forward(out)
    loss = np.mean((out - y) ** 2)
    gradiente = 2 * (out - y) / len(y)
    for layer in reversed(net):
        gradiente = layer.backward(gradiente, 0.1)
"""


def test_a_loop_over_the_layers_is_no_training_loop_whose_gradients_have_a_spanish_name() -> None:
    (found,) = report_on_source(LAYERS).passes
    assert sum(row.name == "dW" for row in found.gradients) == 1
    assert next(row for row in found.gradients if row.name == "dW").occurrences == 2
    assert {row.verdict for row in found.gradients} == {Verdict.CORRECT}


HELD_BACK = """
import numpy as np
np.random.seed(1)
x, y = np.random.randn(24, 3), np.random.randn(24, 1)
W, b = np.random.randn(3, 1), np.zeros((1, 1))
for epoch in range(9):
    out = x[:16] @ W + b
    loss_train = np.mean((out - y[:16]) ** 2)
    loss_val = np.mean((x[16:] @ W + b - y[16:]) ** 2)
    dout = 2 * (out - y[:16]) / 16
    dW = x[:16].T @ dout
    db = dout.sum(axis=0, keepdims=True)
    W -= 0.1 * dW
    b -= 0.1 * db
"""


@pytest.mark.parametrize("factor", ["2 * ", ""])
def test_a_loss_of_data_held_back_is_not_what_is_differentiated(factor: str) -> None:
    report = report_on_source(HELD_BACK.replace("2 * ", factor))
    (found,) = report.passes
    assert found.loss == "loss_train"
    wrong = {row.name for row in found.gradients if row.verdict is Verdict.INTRODUCED}
    assert wrong == (set() if factor else {"dout"})


MASKED = """
import numpy as np
np.random.seed(1)
x, y = np.random.randn(90, 2), np.random.randn(90, 3)
W1, W2 = np.random.randn(2, 40), np.random.randn(40, 3)
for epoch in range(9):
    z = x @ W1
    a = np.where(z > 0, z, {slope} * z)
    loss = np.sum((a @ W2 - y) ** 2)
    dout = 2 * (a @ W2 - y)
    dW2 = a.T @ dout
    dz = dout @ W2.T * {mask}
    dW1 = x.T @ dz
    W1 -= 0.001 * dW1
    W2 -= 0.001 * dW2
"""


@pytest.mark.parametrize(
    ("slope", "mask"),
    [
        ("0.01", "np.where(z > 0, 1, 0.01)"),
        ("0", "np.array(z > 0, dtype=np.int64)"),
        ("0", "np.where(z > 0, 1, 0)"),
    ],
)
def test_a_mask_of_plain_numbers_has_their_type(slope: str, mask: str) -> None:
    report = report_on_source(MASKED.format(slope=slope, mask=mask))
    assert set(verdicts(report).values()) == {Verdict.CORRECT}


OF_NUMBERS = """
import random
import numpy as np
random.seed(0)
w, b = random.uniform(-1, 1), random.uniform(-1, 1)
for x, y in [(0.5, 1.0), (0.7, 0.2)]:
    z = w * x + b
    a = np.where(z > 0, z, 0.1 * z)
    loss = (a - y) ** 2
    da = 2 * (a - y)
    dz = da * np.where(z > 0, 1.0, 0.1)
    dw = dz * x
    db = dz
    w = w - 0.1 * dw
    b = b - 0.1 * db
"""


def test_a_choice_between_plain_numbers_is_replayed() -> None:
    assert verdicts(report_on_source(OF_NUMBERS)) == dict.fromkeys(("da", "dz", "dw", "db"), Verdict.CORRECT)
    wrong = verdicts(
        report_on_source(OF_NUMBERS.replace("np.where(z > 0, 1.0, 0.1)", "np.where(z > 0, 0.1, 1.0)"))
    )
    assert wrong["da"] is Verdict.CORRECT
    assert wrong["dz"] is Verdict.INTRODUCED


OVERWRITTEN = """
import numpy as np
rng = np.random.default_rng(0)
x, y, w = rng.normal(size=(6, 4)), rng.normal(size=(6, 2)), rng.normal(size=(4, 2))
for step in range(5):
    out = x @ w
    loss = np.square({of}).sum()
    dout = 2 * (out - y)
    dw = x.T @ dout
    w -= 0.01 * dw
"""


@pytest.mark.parametrize(("of", "verdict"), [("out - y", Verdict.CORRECT), ("out, y", Verdict.INTRODUCED)])
def test_where_a_result_goes_is_said_by_its_place_too(of: str, verdict: Verdict) -> None:
    """`np.square(out, y)` writes the squares of `out` over `y`."""
    assert verdicts(report_on_source(OVERWRITTEN.format(of=of)))["dout"] is verdict


MEAN_TWICE = """
import numpy as np
np.random.seed(1)
x, y = np.random.randn(12, 4), np.eye(3)[np.random.randint(0, 3, 12)]
W1, W2 = np.random.randn(4, 5), np.random.randn(5, 3)
def part(d, a, W):
    return a.T @ d / len(a), d @ W.T / len(a)
for epoch in range(9):
    h = np.tanh(x @ W1)
    scores = h @ W2
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    dscores = p - y
    dW2, dh = part(dscores, h, W2)
    dz = dh * (1 - h ** 2)
    dW1, dx = part(dz, x, W1)
    W1 -= 0.1 * dW1
    W2 -= 0.1 * dW2
"""


def test_the_factor_of_a_loss_is_told_by_the_gradients_nearest_to_it() -> None:
    """Where as many have another: those come through more lines, one of which puts it there."""
    found = verdicts(report_on_source(MEAN_TWICE))
    assert [found[name] for name in ("dscores", "dW2", "dh")] == [Verdict.CORRECT] * 2 + [Verdict.INTRODUCED]
    assert {found[name] for name in ("dz", "dW1")} == {Verdict.INHERITED}
