"""Which number is the loss, where functions and not names say it; and casts by the name of a type."""

from __future__ import annotations

import pytest

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
