"""Which number is the loss, where functions and not names say it; and casts by the name of a type."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck.program.errors import ProgramError
from tests.support import report_on_source

LAYERS = """
import numpy as np

rng = np.random.RandomState(2)

def squares(out, aim):
    return np.mean((out - aim) ** 2)

def mse(out, aim):
    return squares(out, aim)

def mse_prime(out, aim):
    return 2 * (out - aim) / aim.size

class Dense:
    def __init__(self, n, m):
        self.W = rng.randn(n, m)

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, grad):
        back = grad @ self.W.T
        self.W -= 0.1 * (self.x.T @ grad)
        return back

class Relu:
    def forward(self, x):
        self.x = x
        return np.maximum(0, x)

    def backward(self, grad):
        return np.multiply(grad, {mask})

layers = [Dense(2, 3), Relu(), Dense(3, 1)]
points, aims = np.array([[[0.0, 1.0]], [[1.0, 1.0]]]), np.array([[[1.0]], [[0.0]]])
for epoch in range(20):
    shown = 0
    for x, aim in zip(points, aims):
        out = x
        for layer in layers:
            out = layer.forward(out)
        shown += mse(out, aim)
        grad = mse_prime(out, aim)
        for layer in reversed(layers):
            grad = layer.backward(grad)
"""


@pytest.mark.parametrize("mask", ["np.int64(self.x > 0)", "np.float64(self.x > 0)", "(self.x > 0)"])
def test_the_derivative_of_a_loss_is_none(mask: str) -> None:
    report = report_on_source(LAYERS.format(mask=mask))
    assert [finding for finding in report.findings if finding.rule < "GC2"] == []
    verdicts = {row.verdict.value for row in report.passes[0].gradients}
    assert "correct" in verdicts
    assert not verdicts & {"introduced", "inherited", "compensated"}


def test_a_wrong_mask_is_found() -> None:
    report = report_on_source(LAYERS.format(mask="np.int64(self.x < 0)"))
    assert [finding.rule for finding in report.findings if finding.rule < "GC2"] == ["GC101"]


PROGRAMS = Path(__file__).parent / "programs"


@pytest.mark.parametrize(
    ("stem", "written", "instead", "said"),
    [
        ("no_loss_samples", "", "", "half the sum of squares"),
        ("no_loss_onehot", "", "", "the cross-entropy of a softmax"),
        # Without the slope of the output, it is the gradient of another loss, and right.
        ("no_loss_samples", "error * out * (1 - out)", "error", "the cross-entropy of a sigmoid"),
        ("no_loss_dense", "miss * (1 - out**2)", "miss", "the cross-entropy of a tanh"),
    ],
)
def test_a_loss_that_is_never_computed_is_inferred_and_said(
    stem: str, written: str, instead: str, said: str
) -> None:
    text = (PROGRAMS / f"{stem}.py").read_text()
    report = report_on_source(text.replace(written, instead) if written else text)
    (found,) = report.passes
    assert found.inferred
    assert found.loss.startswith(said)
    assert {row.verdict.value for row in found.gradients} == {"correct"}
    assert "no loss is computed" in str(report.to_markdown())


def test_what_follows_from_no_loss_is_no_backward_pass() -> None:
    """Oja's rule has a difference in it, and updates of weights, and no gradient."""
    with pytest.raises(ProgramError, match="no manual gradient"):
        report_on_source(
            "import numpy as np\nrng = np.random.RandomState(0)\nw = rng.randn(4)\n"
            "for x in rng.randn(20, 4):\n    out = x @ w\n    error = x - out * w\n    w += 0.1 * out * error\n"
        )


@pytest.mark.parametrize(
    "loss", ["((out - Y) ** 2).sum() / 2", "np.mean((Y - out)**2)", "3 * np.sum(np.square(out - Y))"]
)
def test_an_expression_names_the_loss(loss: str) -> None:
    text = (
        "import numpy as np\nrng = np.random.RandomState(0)\nX, Y = rng.randn(6, 3), rng.randn(6, 2)\n"
        "W = rng.randn(3, 2)\nfor _ in range(9):\n    out = np.tanh(X @ W)\n    miss = Y - out\n"
        "    delta = miss * (1 - out**2)\n    W += 0.1 * X.T @ delta\n"
    )
    (found,) = report_on_source(text, loss=loss).passes
    assert found.loss == loss
    assert {row.verdict.value for row in found.gradients} == {"correct"}
    (found,) = report_on_source(text.replace("1 - out**2", "1 - out"), loss=loss).passes
    assert "introduced" in {row.verdict.value for row in found.gradients}


ONE_BY_ONE = """
import numpy as np

x = np.array([[2.1, 0.5, 1], [1.4, 0.3, 2], [0.8, 0.2, 1], [0.1, 1.0, 0.4]])
y = np.array([4.6, 2.3, 1.7, 0.2])
w, b = np.ones(3), 0.5
for step in range(9):
    dw, db = np.zeros(3), 0.0
    for i in range(4):
        err = np.dot(w, x[i]) + b - y[i]
        dw += err * x[i]
        db += err
    dw = dw / 4
    db = db / 4
    w -= 0.1 * dw
    b -= 0.1 * db
"""


def test_a_loss_that_nobody_computes_is_that_of_the_finished_gradients() -> None:
    (found,) = report_on_source(ONE_BY_ONE).passes
    assert {row.verdict.value for row in found.gradients} == {"correct"}
    assert {row.name for row in found.gradients} >= {"err", "dw", "db"}
