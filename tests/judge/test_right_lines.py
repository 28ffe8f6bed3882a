"""Right lines that were accused once, and what was taken for evidence there."""

from __future__ import annotations

from gradcheck.judge.verdict import Verdict
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
