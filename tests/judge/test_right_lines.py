"""Right lines that were accused once, and what was taken for evidence there."""

from __future__ import annotations

import pytest

from gradcheck.judge.verdict import Verdict
from gradcheck.program.errors import ProgramError
from tests.support import report_on_source


def accused(text: str) -> list[str]:
    report = report_on_source(text)
    assert report.rows
    return [f"{finding.rule} {finding.message}" for finding in report.findings if finding.rule < "GC2"]


def test_a_loop_variable_of_another_rank_says_nothing() -> None:
    """`ds` is of all turns, stacked; `s` is that of one."""
    text = """
        import torch
        torch.manual_seed(0)
        X, W, V = torch.randn(3, 4, 5), torch.randn(5, 6), torch.randn(6, 2)
        total, all_s = torch.zeros(4, 2), []
        for t in range(3):
            s = torch.tanh(X[t] @ W)
            all_s.append(s)
            total = total + s @ V
        loss = (total ** 2).mean()
        dtotal = 2 * total / 8
        ds = dtotal.expand(3, -1, -1) @ V.T
        dW = torch.zeros_like(W)
        for t in range(3):
            dW += X[t].T @ (ds[t] * (1 - all_s[t] ** 2))
        W -= 0.1 * dW
    """
    assert accused(text) == []


def test_one_number_fits_a_parameter_of_one_element() -> None:
    text = """
        import torch
        torch.manual_seed(0)
        X, w, b, y = torch.randn(9, 3), torch.randn(3), torch.randn(1), torch.randn(9)
        out = X @ w + b
        loss = ((out - y) ** 2).mean()
        dout = 2 * (out - y) / 9
        dw = X.T @ dout
        db = dout.sum()
        w -= 0.1 * dw
        b -= 0.1 * db
    """
    assert accused(text) == []


def test_a_number_of_numpy_is_a_constant() -> None:
    text = """
        import numpy as np
        rng = np.random.default_rng(0)
        X, W, y = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=(4, 2))
        out = X @ W / np.sqrt(X.shape[1])
        loss = np.mean((out - y) ** 2)
        dout = 2 * (out - y) / out.size
        root = np.sqrt(X.shape[1])
        dW = X.T @ dout / root
        dX = dout @ W.T / root
        W -= 0.1 * dW
    """
    rows = {row.name: row.verdict for row in report_on_source(text).rows}
    assert rows == dict.fromkeys(("dout", "dW", "dX"), Verdict.CORRECT)


def test_what_a_loop_that_raised_would_have_filled_is_unfinished() -> None:
    text = """
        import numpy as np
        rng = np.random.default_rng(0)
        X, W = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
        out = X @ W
        loss = np.mean(out ** 2)
        dout = 2 * out / out.size
        dX, dW = np.zeros_like(X), np.zeros_like(W)
        for i in range(4):
            slope = np.ones(2) + np.ones(3)
            dW += np.outer(X[i], dout[i])
            dX[i] = W @ dout[i]
    """
    rows = {row.name: row.verdict for row in report_on_source(text).rows}
    assert rows == {"dout": Verdict.CORRECT, "dX": Verdict.UNCHECKED, "dW": Verdict.UNCHECKED}
    # What stands above it is at fault all the same.
    rows = {row.name: row.verdict for row in report_on_source(text.replace("2 * out", "3 * out")).rows}
    assert rows["dout"] is Verdict.INTRODUCED


ONE_AT_A_TIME = """
    import numpy as np
    rng = np.random.default_rng(0)
    w1, w2 = rng.normal(size=(3, 2)), rng.normal(size=3)
    examples = [([0.0, 0.0], 1.0), ([1.0, 0.5], 1.0), ([1.0, 1.0], 0.0)]
    for epoch in range(3):
        total_error = 0.0
        for x, t in examples:
            x = np.array(x)
            h = 1 / (1 + np.exp(-(w1 @ x)))
            o = 1 / (1 + np.exp(-(w2 @ h)))
            total_error += 0.5 * (t - o) ** 2
            delta_o = {error} * o * (1 - o)
            delta_h = delta_o * w2 * {slope}
            {update}
        print(epoch, total_error)
"""
BY_ARRAYS = "w1 -= 0.5 * np.outer(delta_h, x); w2 -= 0.5 * delta_o * h"
BY_NUMBERS = """
            for j in range(3):
                w2[j] -= 0.5 * delta_o * h[j]
                for i in range(2):
                    w1[j, i] -= 0.5 * delta_h[j] * x[i]
"""


@pytest.mark.parametrize("update", [BY_ARRAYS, BY_NUMBERS])
@pytest.mark.parametrize("uphill", [False, True])
def test_one_example_at_a_time(update: str, uphill: bool) -> None:
    """An output of one number, and a `delta` of one, are not the loss: the parameters are moved by what they make."""
    update = update.replace("-=", "+=") if uphill else update
    error = "(t - o)" if uphill else "(o - t)"
    right = ONE_AT_A_TIME.format(error=error, slope="h * (1 - h)", update=update)
    assert accused(right) == []
    wrong = ONE_AT_A_TIME.format(error=error, slope="h", update=update)
    # With zeros as inputs, the first layer does not move.
    wrong = report_on_source(wrong.replace("[0.0, 0.0]", "[0.5, 1.0]"))
    assert [(f.rule, f.location.line) for f in wrong.findings if f.rule < "GC2"] == [("GC101", 14)]


SUMMED_OVER_SINGLE_ROWS = """
    import numpy as np
    rng = np.random.default_rng(7)
    X, Y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    W, b = rng.normal(size=(3, 2)), np.zeros(2)
    for epoch in range(3):
        sumW, sumb = 0, 0
        for x, y in zip(X, Y):
            p = np.tanh(x @ W + b)
            delta = 2 * (p - y) * (1 - p**2)
            sumW = sumW + np.outer(x, delta)
            sumb = sumb + delta
        W -= 0.1 * sumW / (12 * 2)
        b -= 0.1 * sumb / (12 * 2)
"""


def test_sums_over_single_rows() -> None:
    """What moves a parameter is moved at a probe point, and no value that is computed from it."""
    assert accused(SUMMED_OVER_SINGLE_ROWS) == []


TWO_LOSSES = """
    import torch
    torch.manual_seed(9)
    s, a, ret = torch.randn(10, 4), torch.randint(0, 3, (10,)), torch.randn(10)
    A, C = torch.randn(4, 3), torch.randn(4)
    for turn in range(2):
        v = s @ C
        critic_loss = 0.5 * ((v - ret) ** 2).mean()
        advantage = ret - v
        logits = s @ A
        actor_loss = -(advantage * torch.log_softmax(logits, 1)[torch.arange(10), a]).mean()
        dv = (v - ret) / 10
        dC = {dC}
        dlogits = torch.softmax(logits, 1)
        dlogits[torch.arange(10), a] -= 1
        dlogits *= advantage[:, None] / {count}
        dA = s.T @ dlogits
        A -= 0.1 * dA
        C -= 0.1 * dC
"""


def test_two_losses_with_gradients_of_their_own() -> None:
    assert accused(TWO_LOSSES.format(dC="s.T @ dv", count=10)) == []
    wrong = accused(TWO_LOSSES.format(dC="2 * s.T @ dv", count=10))
    assert wrong == ["GC101 `dC` is not the gradient of `C`"]
    wrong = accused(TWO_LOSSES.format(dC="s.T @ dv", count=9))
    assert wrong == ["GC101 `dlogits` is not the gradient of `logits`"]


ONLY_REPORTED = """
    import numpy as np
    np.random.seed(1)
    X = np.random.randn(40, 3)
    y = (X[:, 0] > 0).astype(int)
    W, b = np.random.randn(3, 2) * 0.1, np.zeros(2)
    for epoch in range(2):
        epoch_loss = 0
        for i in range(0, 40, 10):
            xb, yb = X[i:i + 10], y[i:i + 10]
            p = np.exp(xb @ W + b)
            p /= p.sum(axis=1, keepdims=True)
            {loss}
            p[np.arange(10), yb] -= 1
            dW = xb.T @ p / 10
            db = p.sum(axis=0) / {count}
            W -= 0.5 * dW
            b -= 0.5 * db
        print(epoch, epoch_loss / 40)
"""


def test_a_sum_that_is_only_reported() -> None:
    loss = "epoch_loss += -np.log(p[np.arange(10), yb]).sum()"
    assert accused(ONLY_REPORTED.format(loss=loss, count=10)) == []
    assert accused(ONLY_REPORTED.format(loss=loss, count=11)) != []
    # A loss that has a name is what the gradients are of.
    named = "loss = -np.log(p[np.arange(10), yb]).sum(); epoch_loss += loss"
    assert accused(ONLY_REPORTED.format(loss=named, count=10)) != []


def test_a_refusal_says_what_there_was() -> None:
    text = """
        import numpy as np
        rng = np.random.default_rng(0)
        X, W = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
        score = (X @ W).mean()
        grad_buffer = np.ones((4, 3)) * 2
    """
    with pytest.raises(ProgramError, match="no manual gradient was found") as refused:
        report_on_source(text)
    assert "numbers that could be the loss: `score`" in refused.value.hint


HINGE = """
    import numpy as np
    rng = np.random.default_rng(0)
    X, y, W = rng.normal(size=(8, 5)), rng.integers(0, 4, 8), rng.normal(size=(5, 4))
    score = X @ W
    margins = np.maximum(0, score - score[np.arange(8), y][:, None] + 1)
    margins[np.arange(8), y] = 0
    hinge = margins.sum() / 8
    up = (margins > 0).astype(float)
    up[np.arange(8), y] {signs}
    up = up / 8
    gW = X.T @ up
    W -= 0.1 * gW
    print(hinge)
"""


def test_a_hinge_is_a_loss_that_is_to_fall() -> None:
    """Its name says nothing, and no gradient is right: what it is made of says that it is one."""
    assert accused(HINGE.format(signs="-= up.sum(axis=1)")) == []
    assert accused(HINGE.format(signs="= -1")) != []


def test_what_moves_a_parameter_whose_first_name_is_not_known() -> None:
    """`stiff` has the name of its new value at the end, and what it was is read as `stiff` all the same."""
    text = """
        import numpy as np
        stiff = np.array([4.0, 3.0, 5.0])
        x0, goal = np.array([-1.0, -1.5, -1.2]), np.array([-1.3, -1.9, -1.4])
        x, seen = x0, [x0]
        for n in range(3):
            x = np.tanh(stiff * x)
            seen.append(x)
        error = 0.5 * np.sum((x - goal) ** 2)
        dE_dk = np.zeros(3)
        dx = x - goal
        for n in (2, 1, 0):
            dz = dx * (1 - seen[n + 1] ** 2)
            dE_dk += {sign}np.diag(seen[n]) @ dz
            dx = dz * stiff
        stiff = stiff - 0.01 * dE_dk
    """
    assert accused(text.format(sign="")) == []
    assert accused(text.format(sign="-")) != []


ENGINE = """
    import numpy as np
    class Node:
        def __init__(self, data, parents=()):
            self.data = np.asarray(data, dtype=float)
            self.grad = np.zeros_like(self.data)
            self.parents, self.step = parents, lambda: None
        def __matmul__(self, other):
            out = Node(self.data @ other.data, (self, other))
            def step():
                self.grad += out.grad @ other.data.T
                other.grad {writes} self.data.T @ out.grad
            out.step = step
            return out
        def tanh(self):
            t = np.tanh(self.data)
            out = Node(t, (self,))
            def step():
                self.grad += out.grad * (1 - t**2)
            out.step = step
            return out
        def mean(self):
            out = Node(self.data.mean(), (self,))
            def step():
                self.grad += np.ones_like(self.data) * out.grad / self.data.size
            out.step = step
            return out
        def backward(self):
            order = []
            def visit(node):
                if node not in order:
                    for parent in node.parents:
                        visit(parent)
                    order.append(node)
            visit(self)
            self.grad = np.ones_like(self.data)
            for node in reversed(order):
                node.step()
    rng = np.random.default_rng(0)
    x, w = Node(rng.normal(size=(4, 4))), Node(rng.normal(size=(4, 4)))
    out = ((x @ w).tanh() @ w).tanh().mean()
    out.backward()
    w.data -= 0.1 * w.grad
"""


def test_the_gradient_that_backward_begins_with_is_no_loss() -> None:
    """Weights that are used twice get two terms: `=` keeps the last one."""
    assert accused(ENGINE.format(writes="+=")) == []
    assert accused(ENGINE.format(writes="=")) == ["GC101 `other.grad` is not the gradient of `self.data`"]
