"""Whatever a person named as a gradient is judged, or its row says why not."""

from __future__ import annotations

import pytest

from gradcheck.report.model import Report
from tests.support import report_on_source


def report(text: str, **options: object) -> Report:
    return report_on_source(
        "import pickle, torch\ntorch.manual_seed(0)\n" + text, fix_budget_s=0.0, **options
    )


def verdicts(text: str, **options: object) -> dict[str, str]:
    return {
        row.name: row.verdict.value for judged in report(text, **options).passes for row in judged.gradients
    }


GIVEN = """
x, w = torch.randn(6, 4, requires_grad=True), torch.randn(4, 3, requires_grad=True)
z = x @ w
out = torch.sigmoid(z)
up = {up}
{backward}
dz = up * out * (1 - out)
dw = x.T @ dz
dx = {dx}
"""


@pytest.mark.parametrize(
    "up", ["torch.rand(6, 3)", "torch.ones_like(out)", "torch.linspace(1, 2, 18).view(6, 3)"]
)
@pytest.mark.parametrize(
    "backward", ["out.backward(gradient=up)", "gw, gx = torch.autograd.grad([out], [w, x], grad_outputs=up)"]
)
def test_a_backward_pass_of_a_given_upstream_gradient(up: str, backward: str) -> None:
    right = verdicts(GIVEN.format(up=up, backward=backward, dx="dz @ w.T"))
    of_autograd = {"gw": "correct", "gx": "correct"} if "gw" in backward else {}
    assert right == {"dz": "correct", "dw": "correct", "dx": "correct"} | of_autograd
    wrong = verdicts(GIVEN.format(up=up, backward=backward, dx="2 * dz @ w.T"))
    assert wrong == {"dz": "correct", "dw": "correct", "dx": "introduced"} | of_autograd


def test_its_loss_is_told_as_a_sum() -> None:
    (judged,) = report(GIVEN.format(up="torch.rand(6, 3)", backward="out.backward(up)", dx="dz @ w.T")).passes
    assert judged.loss == "(out * up).sum()"
    assert judged.loss_location.line == 8


def test_a_gradient_given_in_the_middle_of_a_backward_pass_is_no_loss() -> None:
    (judged,) = report("""
x, y, w = torch.randn(6, 4), torch.randn(6, 3), torch.randn(4, 3, requires_grad=True)
out = torch.sigmoid(x @ w)
loss = ((out - y) ** 2).mean()
dout = 2 * (out - y) / 18
(dw,) = torch.autograd.grad(out, w, dout.detach())
""").passes
    assert judged.loss == "loss"


COPIES = """
inputs, gain = torch.randn(5, 4, requires_grad=True), torch.rand(4, requires_grad=True)
loss = ((inputs.exp() * gain) ** 3).sum()
loss.backward()
x, g = inputs.detach().clone(), gain.detach()
dx = 3 * (x.exp() * g) ** 2 * g * {of_exp}
"""


@pytest.mark.parametrize(("of_exp", "verdict"), [("x.exp()", "correct"), ("x", "introduced")])
def test_the_backward_pass_may_run_on_copies(of_exp: str, verdict: str) -> None:
    assert verdicts(COPIES.format(of_exp=of_exp)) == {"dx": verdict}


STEP = """
x, y, w, b = torch.randn(6, 4), torch.randn(6, 3), torch.randn(4, 3), torch.randn(3)
for epoch in range(20):
    pred = {forward}
    loss = ((pred - y) ** 2).mean()
    dpred = 2 * (pred - y) / 18
    dw = {dw}
    db = dpred.sum(0)
    w -= 0.1 * dw
    b -= 0.1 * db
"""


def test_a_parameter_that_the_forward_pass_does_not_use() -> None:
    (judged,) = report(STEP.format(forward="x @ w", dw="x.T @ dpred")).passes
    (row,) = [row for row in judged.gradients if row.name == "db"]
    assert row.verdict.value == "unchecked"
    assert "does not use `b`" in row.reason


def test_a_gradient_whose_making_was_not_recorded() -> None:
    (judged,) = report(
        STEP.format(forward="x @ w + b", dw="pickle.loads(pickle.dumps(x.T @ dpred.abs()))")
    ).passes
    (row,) = [row for row in judged.gradients if row.name == "dw"]
    assert (row.verdict.value, row.reason) == ("unchecked", "what computed it was not recorded")
    report(STEP.format(forward="x @ w + b", dw="pickle.loads(pickle.dumps(x.T @ dpred))")).raise_for_errors()


def test_none_after_a_finished_pass() -> None:
    found = report("""
x, y, w = torch.randn(6, 4), torch.randn(6, 3), torch.randn(4, 3, requires_grad=True)
loss = ((x @ w - y) ** 2).mean()
dw = x.T @ (2 * (x @ w - y)) / 18
for epoch in range(9):
    loss = ((x @ w - y) ** 2).mean()
    loss.backward()
    dw = None
    w.data -= 0.1 * w.grad
    w.grad = None
""")
    assert [[row.verdict.value for row in judged.gradients] for judged in found.passes] == [
        ["correct"],
        ["unchecked"],
    ]


VECTORS = """
def unit(q):
    q = q / q.norm(dim=-1, keepdim=True)
    return q

quat, seen = torch.randn(5, 4), torch.randn(5, 4)
for step in range(3):
    moved = unit(quat)
    loss = ((moved - seen) ** 2).sum()
    v_moved = 2 * (moved - seen)
    v_quat = {v_quat}
    quat -= 0.1 * v_quat
"""
_PROJECTED = "(v_moved - moved * (moved * v_moved).sum(-1, keepdim=True)) / quat.norm(dim=-1, keepdim=True)"


@pytest.mark.parametrize(
    ("v_quat", "verdict"),
    [(_PROJECTED, "correct"), ("v_moved / quat.norm(dim=-1, keepdim=True)", "introduced")],
)
def test_names_of_vector_jacobian_products(v_quat: str, verdict: str) -> None:
    assert verdicts(VECTORS.format(v_quat=v_quat)) == {"v_moved": "correct", "v_quat": verdict}


def test_a_stated_pair_makes_any_name_that_of_a_gradient() -> None:
    text = """
x, y, w = torch.randn(6, 4), torch.randn(6, 3), torch.randn(4, 3)
loss = ((x @ w - y) ** 2).sum()
push = x.T @ (x @ w - y)
"""
    assert verdicts(text, pairs={"push": "w"}) == {"push": "introduced"}


@pytest.mark.parametrize("helper", ["for t in (pre, act):\n    t.retain_grad()\n", ""])
def test_the_parameters_of_a_comparing_helper_are_no_names(helper: str) -> None:
    (judged,) = report(f"""
def compare(dt, t):
    print((dt - t.grad).abs().max())
x, y, w = torch.randn(6, 4), torch.randn(6, 3), torch.randn(4, 3, requires_grad=True)
pre = x @ w
act = pre.tanh()
loss = ((act - y) ** 2).sum()
{helper}act.retain_grad()
loss.backward()
dact = 2 * (act - y) * (1 - act**2)
compare(dact, act)
dw = x.T @ dact
""").passes
    row = judged.gradients[0]
    assert (row.name, row.of, row.problem.value) == ("dact", "pre", "misnamed")


def test_a_velocity_is_no_gradient() -> None:
    assert verdicts("""
x, y, w = torch.randn(6, 4), torch.randn(6, 3), torch.randn(4, 3)
v_w = torch.rand_like(w)
for epoch in range(20):
    pred = x @ w
    loss = ((pred - y) ** 2).mean()
    dpred = 2 * (pred - y) / 18
    dw = x.T @ dpred
    v_w = 0.9 * v_w + dw
    w -= 0.1 * v_w
""") == {"dpred": "correct", "dw": "correct"}
