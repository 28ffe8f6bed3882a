"""Which forward value a manual gradient belongs to, where several could be meant."""

from __future__ import annotations

from gradcheck.judge.verdict import Problem, Verdict
from tests.support import report_on_source

SCRIPT = """
import torch
torch.manual_seed(1)
x = torch.randn(10, 4)
y = torch.randn(10, 3)
W = torch.randn(4, 3) * 0.5
pred = x @ W
loss = ((pred - y) ** 2).mean()
dpred = 2 * (pred - y) / 30
dW = {factor}x.T @ dpred
W = W - 0.1 * dW
"""

ZERO = """
import torch
torch.manual_seed(1)
x = torch.randn(10, 4)
y = torch.randn(10, 3)
W = torch.zeros(3, 4)
for i in range(100):
    pred = x @ W.T
    loss = ((pred - y) ** 2).mean()
    dpred = 2 * (pred - y) / 30
    dW = dpred.T @ x
    dx = dpred @ W{factor}
    W -= 0.1 * dW
"""


def verdict_of(text: str, name: str) -> tuple[Verdict, str | None, Problem]:
    report = report_on_source(text)
    row = next(row for row in report.rows if row.name == name)
    return row.verdict, row.of, row.problem


def test_a_gradient_is_not_taken_for_that_of_the_draw_its_parameter_was_made_of() -> None:
    """Half the gradient of `W` is the whole gradient of `randn(4, 3)` in `W = randn(4, 3) * 0.5`."""
    assert verdict_of(SCRIPT.format(factor="0.5 * "), "dW")[:2] == (Verdict.INTRODUCED, "W")
    assert verdict_of(SCRIPT.format(factor=""), "dW")[:2] == (Verdict.CORRECT, "W")


def test_a_parameter_used_through_a_view_is_jittered() -> None:
    """At W = 0 the gradient of x is zero, and only a probe point that moves W tells the right line from the wrong."""
    assert verdict_of(ZERO.format(factor=" * 0"), "dx") == (Verdict.INTRODUCED, "x", Problem.HIDDEN)
    assert verdict_of(ZERO.format(factor=""), "dx")[0] is Verdict.CORRECT


UNSUMMED = """
import torch
torch.manual_seed(0)
x, y = torch.randn(8, 4), torch.randn(8, 3)
params = {"W": torch.randn(4, 3) * 0.3, "b": torch.zeros(3)}
for i in range(50):
    pred = x @ params["W"] + params["b"]
    loss = ((pred - y) ** 2).mean()
    grads = {}
    grads["pred"] = 2 * (pred - y) / pred.numel()
    grads["W"] = x.T @ grads["pred"]
    grads["b"] = grads["pred"]
    params["W"] = params["W"] - 0.1 * grads["W"]
    params["b"] = params["b"] - 0.1 * grads["b"]SUM
"""


def test_a_second_name_that_lacks_a_sum_is_a_gradient_of_its_own() -> None:
    wrong = verdict_of(UNSUMMED.replace("SUM", ""), "grads['b']")
    assert wrong == (Verdict.INTRODUCED, "params['b']", Problem.SHAPE)


def test_it_may_be_summed_where_it_is_used() -> None:
    report = report_on_source(UNSUMMED.replace("SUM", ".sum(0)"))
    assert {row.verdict for row in report.rows} == {Verdict.CORRECT}


SCALAR = """
import torch
torch.manual_seed(0)
x, y = torch.randn(9), torch.randn(9)
w = torch.tensor(0.7)
for step in range(4):
    p = torch.tanh(x * w)
    loss = ((p - y) ** 2).sum()
    dp = 2 * (p - y)
    dz = dp * (1 - p**2)
    dw = (dz * x).sum()
    dw = dw {then}
    w = w - 0.01 * dw
"""


def test_a_wrong_factor_on_a_single_number_is_not_taken_for_weight_decay() -> None:
    """Any number is a multiple of any other: that something was added has to be seen from the operation."""
    assert verdict_of(SCALAR.format(then="* (1 - w)"), "dw")[0] is Verdict.INTRODUCED
    assert verdict_of(SCALAR.format(then="+ 0.1 * w"), "dw")[0] is Verdict.CORRECT
