"""What fits the recorded step and is not offered."""

from __future__ import annotations

import textwrap

from gradcheck.report.model import Report
from tests.support import report_on_source


def fixes(source: str) -> list[str]:
    report: Report = report_on_source(source, fix_budget_s=10.0)
    return [finding.fix.diff for finding in report.findings if finding.fix is not None]


def test_a_name_that_holds_the_same_numbers_at_the_start() -> None:
    """`gain` and `ones` are equal before the first update; only the one that the forward pass uses is right."""
    source = """
        import torch

        torch.manual_seed(0)
        x = torch.randn(10, 4)
        aaa = torch.ones(1, 4)
        gain = torch.ones(1, 4)
        u = torch.tanh(x * gain)
        loss = (u**2).mean()
        du = 2 * u / u.numel()
        dpre = du * (1 - u)
        dgain = (dpre * x).sum(0, keepdim=True)
        dx = dpre * gain
    """
    (diff,) = fixes(source)
    assert diff.split("\n")[1] == "+ dpre = du * (1 - u**2)"


def test_a_fix_of_one_turn_of_a_loop_alone() -> None:
    source = """
        import torch

        torch.manual_seed(18)
        W = [torch.randn(6, 6) / 3 for _ in range(3)]
        a = [torch.randn(10, 6)]
        for i in range(3):
            a.append(torch.tanh(a[i] @ W[i]))
        target = torch.randn(10, 6)
        loss = 0.5 * ((a[-1] - target) ** 2).sum(1).mean()
        dW = [None] * 3
        delta = (a[-1] - target) / 10 * (1 - a[-1] ** 2)
        dW[2] = a[2].T @ delta
        for i in range(1, -1, -1):
            dW[i] = a[i].T @ delta
            delta = (delta @ W[i + 1].T) * (1 - a[i + 1] ** 2)
        for i in range(3):
            W[i] -= 0.1 * dW[i]
    """
    assert not any("a[1].T" in diff or "a[0].T" in diff for diff in fixes(source))


def test_no_edit_takes_an_update_back() -> None:
    source = textwrap.dedent("""
        import torch

        torch.manual_seed(9)
        x, t = torch.rand(20, 3), torch.rand(20, 1)
        V, W = torch.randn(3, 8) * 0.5, torch.randn(8, 1) * 0.5
        h = torch.tanh(x @ V)
        out = h @ W
        loss = 0.5 * ((out - t) ** 2).mean()
        dout = (out - t) / 20
        dW = h.T @ dout
        W = W - 0.5 * dW
        if True:
            dh = dout @ W.T
        dV = x.T @ (dh * (1 - h**2))
    """)
    assert fixes(source) == []  # the line cannot be moved out of its block


def test_no_edit_ignores_the_gradient_that_the_line_is_handed() -> None:
    """Of a cross entropy, `total_inv / 8` has the numbers of the gradient of `total`, whatever arrives."""
    source = """
        import torch

        torch.manual_seed(4)
        logits = torch.randn(8, 5)
        labels = torch.randint(0, 5, (8,))
        rows, batch = torch.arange(8), 8
        counts = logits.exp()
        total = counts.sum(1, keepdim=True)
        total_inv = total**-1
        probs = counts * total_inv
        logprobs = probs.log()
        loss = -logprobs[rows, labels].mean()
        dlogprobs = torch.zeros_like(logprobs)
        dlogprobs[rows, labels] = -1.0 / batch
        dprobs = dlogprobs / probs
        dtotal_inv = (counts * dprobs).sum(1, keepdim=True)
        dtotal = dtotal_inv * -1
        dcounts = dprobs * total_inv + dtotal
        dlogits = dcounts * counts
    """
    for diff in fixes(source):
        assert "dtotal_inv" in diff.split("\n")[1]
