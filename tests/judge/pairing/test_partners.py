"""Which forward value a manual gradient belongs to, where several could be meant."""

from __future__ import annotations

import pytest

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


BROADCAST = """
import torch
torch.manual_seed(0)
x, w = torch.randn(12, 5), torch.randn(5, 4, requires_grad=True)
scores = x @ w
power = scores.exp()
total = 0.5 * power.sum(1, keepdim=True)
loss = total.log().mean()
dtotal = 1 / total / total.numel()
dpower = {dpower}
dscores = dpower * power
dw = x.T @ dscores
"""


@pytest.mark.parametrize(
    ("dpower", "rules"), [("0.5 * dtotal", ["GC106"]), ("dtotal.expand_as(power) * 0.5", [])]
)
def test_a_gradient_that_fits_only_by_broadcasting(dpower: str, rules: list[str]) -> None:
    report = report_on_source(BROADCAST.format(dpower=dpower))
    assert {row.verdict.value for row in report.passes[0].gradients} == {"correct"}
    assert [finding.rule for finding in report.findings if finding.rule < "GC2"] == rules


def test_parameters_that_are_parts_of_one_flat_tensor() -> None:
    report = report_on_source("""
        import torch
        torch.manual_seed(0)
        x, y = torch.randn(8, 3), torch.randn(8, 2)
        w, b = torch.randn(3, 2) * 0.4, torch.zeros(2)
        flat = torch.cat([w.flatten(), b])
        w, b = flat[:6].view(3, 2), flat[6:]
        for step in range(5):
            out = x @ w + b
            loss = ((out - y) ** 2).mean()
            dout = 2 * (out - y) / out.numel()
            dw, db = x.T @ dout, dout.sum(0)
            flat -= 0.1 * torch.cat([dw.flatten(), db])
    """)
    assert {row.verdict.value for row in report.passes[0].gradients} == {"correct"}
    assert [finding.rule for finding in report.findings if finding.rule < "GC2"] == []


def test_two_names_for_one_tensor_that_is_changed_in_place() -> None:
    text = """
        import torch
        torch.manual_seed(0)
        x, w = torch.randn(8, 3), torch.randn(3, 4, requires_grad=True)
        z = x @ w
        centre = z.mean(1, keepdim=True)
        a = z - centre
        loss = (a ** 4).mean()
        da = 4 * a ** 3 / a.numel()
        dcentre = -da.sum(1, keepdim=True)
        dz = {again}
        dz += dcentre / 4
        dw = x.T @ dz
    """
    said = "`da` and `dz` are one tensor: once line 12 has run, `da` is no longer the gradient of `a`"
    for again, notes in (("da", [said]), ("da.clone()", [])):
        (judged,) = report_on_source(text.format(again=again)).passes
        assert [note for row in judged.gradients for note in row.notes] == notes


def test_the_key_of_a_gradient_is_that_of_its_parameter() -> None:
    """`grads['dec']` is that of `params['dec']`, and of no `ec`."""
    text = """
        import torch
        torch.manual_seed(0)
        x = torch.randn(8, 5)
        params = {"enc": torch.randn(5, 3), "dec": torch.randn(3, 5)}
        code = torch.tanh(x @ params["enc"])
        out = code @ params["dec"]
        loss = ((out - x) ** 2).mean() + 0.05 * (params["dec"] ** 2).sum()
        dout = 2 * (out - x) / out.numel()
        grads = {"dec": code.T @ dout}
        grads["enc"] = x.T @ (dout @ params["dec"].T * (1 - code ** 2))
    """
    assert verdict_of(text, "grads['dec']") == (Verdict.INTRODUCED, "params['dec']", Problem.WRONG_VALUE)


def test_a_parameter_that_something_else_is_called_as_well_names_nothing() -> None:
    report = report_on_source(
        """
        import torch
        def activate(x):
            return torch.tanh(x)
        torch.manual_seed(0)
        x, y, W = torch.randn(6, 4), torch.randn(6, 1), torch.randn(4, 1)
        out = activate(x @ W)
        loss = ((out - y) ** 2).sum()
        dout = 2 * (out - y)
        dz = dout * (1 - out)
        dW = x.T @ dz
        """
    )
    assert [row.of for row in report.rows] == ["out", "x @ W", "W"]
    assert report.findings[0].message == "`dz` is not the gradient of `x @ W`"


COPIES = """
    import torch
    torch.manual_seed(0)
    x, y = torch.randn(16, 5), torch.randn(16, 4)
    W, gain = torch.randn(5, 4), torch.ones(4)
    W_c = W.clone().detach().requires_grad_(True)
    gain_c = gain.clone().detach().requires_grad_(True)
    h_c = x @ W_c
    loss_c = ((torch.tanh(gain_c * h_c) - y) ** 2).mean()
    loss_c.backward()
    h = x @ W
    out = torch.tanh(gain * h)
    loss_grad = 2 * (out - y) / y.numel()
    dz = loss_grad * (1 - out ** 2)
    dgain = (dz * h).sum(0)
    dh = dz * gain{again}
    dW = x.T @ dh
    for step in range(2):
        h = x @ W
        out = torch.tanh(gain * h)
        loss = ((out - y) ** 2).mean()
        dz = 2 * (out - y) / y.numel() * (1 - out ** 2)
        dgain = (dz * h).sum(0)
        W -= 0.1 * x.T @ (dz * gain)
        gain -= 0.1 * dgain
"""


def test_the_gradient_of_a_copy_is_that_of_what_was_copied() -> None:
    """Which moves with it: a gain of one hides nothing. And `loss_grad` is of what the loss is computed from."""
    report = report_on_source(COPIES.format(again=""))
    assert {row.verdict for row in report.rows} == {Verdict.CORRECT}
    assert not [finding for finding in report.findings if finding.rule == "GC107"]
    report = report_on_source(COPIES.format(again=" * gain"))
    assert {row.name for row in report.rows if row.problem is Problem.HIDDEN} == {"dh"}
