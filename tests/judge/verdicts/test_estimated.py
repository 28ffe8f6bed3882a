"""Gradients that the backward pass estimates with random numbers of its own."""

from __future__ import annotations

from gradcheck.judge.verdict import Verdict
from tests.support import VERDICTS_ONLY, report_on_source

SOURCE = """
    import torch

    torch.manual_seed(0)
    x, y = torch.randn(16, 5), torch.randn(16, 3)
    W1, W2 = torch.randn(5, 8) * 0.3, torch.randn(8, 3) * 0.3
    for step in range(3):
        z = x @ W1
        h = torch.relu(z)
        kept = (torch.rand_like(h) < 0.5).float() * 2
        out = (h * kept) @ W2
        loss = ((out - y) ** 2).mean()
        dout = 2 * (out - y) / out.numel()
        rows = (torch.rand(16, 1) < 0.5).float() * 2
        dW2 = (h * kept).T @ (dout * rows)
        dh = dout @ W2.T * kept
        dz = dh * (z > 0)
        dW1 = x.T @ dz
        dW1 = dW1 + 0.01 * torch.randn_like(dW1)
        W1 -= 0.1 * dW1
        W2 -= 0.1 * dW2
"""


def verdicts(source: str) -> dict[str, set[Verdict]]:
    found: dict[str, set[Verdict]] = {}
    for row in report_on_source(source, **VERDICTS_ONLY).rows:
        found.setdefault(row.name, set()).add(row.verdict)
    return found


def test_what_is_right_on_average_is_an_estimate_and_no_fault():
    found = verdicts(SOURCE)
    assert found["dW2"] == found["dW1"] == {Verdict.UNCHECKED}
    assert found["dout"] == found["dh"] == found["dz"] == {Verdict.CORRECT}
    rows = report_on_source(SOURCE, **VERDICTS_ONLY).rows
    reason = next(row.reason for row in rows if row.name == "dW2")
    assert "an estimate" in reason
    assert "line 14" in reason


def test_a_mean_that_is_not_the_gradient_is_a_fault():
    halved = SOURCE.replace(
        "rows = (torch.rand(16, 1) < 0.5).float() * 2", "rows = (torch.rand(16, 1) < 0.5).float()"
    )
    assert verdicts(halved)["dW2"] == {Verdict.INTRODUCED}


def test_another_draw_in_the_place_of_that_of_the_forward_pass_is_a_fault():
    again = "kept = (torch.rand_like(h) < 0.5).float() * 2; dh = dout @ W2.T * kept"
    source = SOURCE.replace("dh = dout @ W2.T * kept", again).replace("dW1 = dW1 + 0.01", "noise = 0.01")
    assert verdicts(source)["dh"] == {Verdict.INTRODUCED}
