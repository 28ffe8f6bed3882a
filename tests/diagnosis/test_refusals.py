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


def test_no_edit_divides_by_what_is_one_here() -> None:
    """All windows are square, so that `high / wide` fits as well as nothing at all; `rest / rest` always does."""
    source = """
        import torch
        import torch.nn.functional as F

        class Windows(torch.autograd.Function):
            @staticmethod
            def forward(ctx, image, high, wide):
                ctx.shape = image.shape[2:], high, wide
                return F.unfold(image, (high, wide))

            @staticmethod
            def backward(ctx, up):
                size, high, wide = ctx.shape
                return F.fold(up, size, (high, wide)) / (high * wide), None, None

        torch.manual_seed(0)
        image = torch.randn(2, 3, 6, 6, requires_grad=True)
        out = Windows.apply(image, 3, 3)
        loss = (out**2).sum()
        loss.backward()
    """
    (diff,) = fixes(source)
    assert diff.split("\n")[1] == "+ return F.fold(up, size, (high, wide)), None, None"
    source = """
        import torch

        torch.manual_seed(0)
        x, y = torch.randn(9, 4), torch.rand(9, 3)
        w = torch.randn(4, 3)
        p = torch.sigmoid(x @ w)
        loss = -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).sum() / len(y)
        delta = (p - y) * p * (1 - p) / len(y)
        dw = x.T @ delta
        w = w - dw
    """
    (diff,) = fixes(source)
    assert diff.split("\n")[1] == "+ delta = (p - y) / len(y)"


def test_a_function_that_is_given_what_it_reads_does_not_begin_to_read_globals() -> None:
    """The call hands over the wrong one: `pre` in the function would be right for this caller alone."""
    source = """
        import torch

        def bent_back(up, z):
            return up * (1 - torch.tanh(z) ** 2)

        torch.manual_seed(0)
        x, t, w = torch.randn(9, 4), torch.randn(9, 3), torch.randn(4, 3)
        for step in range(3):
            pre = x @ w
            act = torch.tanh(pre)
            loss = ((act - t) ** 2).mean()
            dact = 2 * (act - t) / act.numel()
            dpre = bent_back(dact, act)
            dw = x.T @ dpre
            w = w - 0.1 * dw
    """
    assert not any("pre" in diff.split("\n")[1] for diff in fixes(source))
