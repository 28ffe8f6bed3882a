"""Where gradients go: what a line read instead of what it should have read, and how parameters move."""

from __future__ import annotations

import pytest

from gradcheck.judge.step.records import Movement
from gradcheck.program.errors import ProgramError
from gradcheck.report.model import Report
from tests.support import report_on_source

NETWORK = """
import torch
import torch.nn.functional as F
torch.manual_seed(3)
X = torch.randn(20, 6)
Y = torch.randint(0, 6, (20,))
W1, b1 = torch.randn(6, 6) * 0.4, torch.randn(6) * 0.1
W2, b2 = torch.randn(6, 6) * 0.4, torch.randn(6) * 0.1
params = [W1, b1, W2, b2]
{before}
for step in range(400):
    z = X @ W1 + b1
    h = torch.tanh(z)
    logits = h @ W2 + b2
    loss = {loss}
    dlogits = {dlogits}
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dh = dlogits @ W2.T
    dz = dh * (1 - h**2)
    dW1 = X.T @ dz
    db1 = dz.sum(0)
    grads = [dW1, db1, dW2, db2]
    {update}
"""
ENTROPY = ("F.cross_entropy(logits, Y)", "(F.softmax(logits, 1) - F.one_hot(Y, 6)) / 20")
ZEROS = "{0} = [torch.zeros_like(p) for p in params]"


def network(update: str, before: str = "", loss: tuple[str, str] = ENTROPY) -> Report:
    text = NETWORK.format(update=update, before=before, loss=loss[0], dlogits=loss[1])
    return report_on_source(text)


def movements(report: Report) -> set[Movement]:
    return {update.movement for update in report.passes[0].flow.updates}


RIGHT = {
    "plain": ("for p, g in zip(params, grads): p -= 0.1 * g", ""),
    "backwards": ("for p, g in zip(reversed(params), reversed(grads)): p.sub_(g, alpha=0.1)", ""),
    "data": ("for p, g in zip(params, grads): p.data = p.data - 0.1 * g", ""),
    "copied": ("for p, g in zip(params, grads): p.copy_(p - 0.1 * g)", ""),
    "unpacked": ("W1, b1, W2, b2 = [p - 0.1 * g for p, g in zip([W1, b1, W2, b2], grads)]", ""),
    "momentum": (
        "for p, v, g in zip(params, vs, grads): v.mul_(0.9).add_(g); p -= 0.1 * v",
        ZEROS.format("vs"),
    ),
    "momentum in lists": (
        "for i, g in enumerate(grads): vs[i] = 0.9 * vs[i] - 0.1 * g; params[i] += vs[i]",
        ZEROS.format("vs"),
    ),
    "rmsprop": (
        "for i, (p, g) in enumerate(zip(params, grads)):\n"
        "        vs[i] = 0.9 * vs[i] + 0.1 * g**2\n"
        "        p -= 0.01 * g / (vs[i].sqrt() + 1e-8)",
        ZEROS.format("vs"),
    ),
    "adam with addcdiv": (
        "for p, m, v, g in zip(params, ms, vs, grads):\n"
        "        m.lerp_(g, 0.1)\n"
        "        v.mul_(0.999).addcmul_(g, g, value=0.001)\n"
        "        p.addcdiv_(m, v.sqrt().add_(1e-8), value=-0.01)",
        ZEROS.format("ms") + "\n" + ZEROS.format("vs"),
    ),
    "signs": ("for p, g in zip(params, grads): p -= 0.01 * torch.sign(g)", ""),
    "decay of the parameter": ("for p, g in zip(params, grads): p *= 0.999; p -= 0.1 * g", ""),
    "decay in the step": ("for p, g in zip(params, grads): p -= 0.1 * (g + 0.01 * p)", ""),
    "clipped by value": ("for p, g in zip(params, grads): g.clamp_(-0.1, 0.1); p -= 0.1 * g", ""),
    "clipped by a Python number": (
        "total = sum((g**2).sum().item() for g in grads) ** 0.5\n"
        "    for g in grads: g *= 0.01 / total\n"
        "    for p, g in zip(params, grads): p -= 0.1 * g",
        "",
    ),
    "divided by the norm": (
        "total = torch.sqrt(sum((g**2).sum() for g in grads))\n"
        "    for p, g in zip(params, grads): p -= 0.1 * g / total",
        "",
    ),
    "an average beside it": (
        "for p, e, g in zip(params, es, grads): p -= 0.1 * g; e.mul_(0.99).add_(p, alpha=0.01)",
        "es = [p.clone() for p in params]",
    ),
    "torch.optim": (
        "W1.grad, b1.grad, W2.grad, b2.grad = grads\n    opt.step()",
        "opt = torch.optim.SGD(params, 0.1, momentum=0.9, weight_decay=0.01)",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_update_descends(name: str) -> None:
    report = network(*RIGHT[name])
    assert len(report.passes) == 1
    assert movements(report) == {Movement.DESCENDS}, report.passes[0].flow.updates
    assert report.findings == []


def test_what_leaves_through_numpy_is_unchecked() -> None:
    report = network(
        "for p, g in zip([W1, b1, W2], grads): p -= 0.1 * g\n    b2.copy_(torch.from_numpy(b2.numpy() - 0.1 * db2.numpy()))"
    )
    (update,) = [u for u in report.passes[0].flow.updates if u.parameter == "b2"]
    assert update.movement is Movement.UNCHECKED
    assert "NumPy" in update.reason
    assert report.findings == []


KEYED = "P, G = dict(W1=W1, b1=b1, W2=W2, b2=b2), dict(dW1=dW1, db1=db1, dW2=dW2, db2=db2)\n    for k in P:\n"


@pytest.mark.parametrize(
    "update",
    [
        "for p, g in zip(params, grads):\n        if p is not b2: p -= 0.1 * g",
        "for p, g in zip(params[:3], grads): p -= 0.1 * g\n    if step > 100: b2 -= 0.1 * db2",
        "for p, g in zip(params[:3], grads): p -= 0.1 * g\n    if step > 100: b2 = b2 - 0.1 * db2",
        "for p, g in zip(params[:3], grads): p -= 0.1 * g\n    if step > 100: b2.sub_(0.1 * db2)",
        KEYED + "        if step > 100 or k[1] == '1': P[f'{k}'] -= 0.1 * G[f'd{k}']",
    ],
)
def test_what_is_passed_over_or_moved_later_is_not_forgotten(update: str) -> None:
    assert network(update).findings == []


def test_what_no_condition_keeps_from_a_computed_key_is_forgotten() -> None:
    report = network(KEYED.replace("in P", "in ('W1', 'b1', 'W2')") + "        P[k] -= 0.1 * G[f'd{k}']")
    assert [(f.rule, f.evidence["parameter"]) for f in report.findings] == [("GC105", "b2")]


def test_updates_are_followed_to_another_parameters_gradient() -> None:
    clipped = (
        "total = torch.sqrt(sum((g**2).sum() for g in grads))\n"
        "    for p, g in zip(params, [dW2, db1, dW1, db2]): p -= 0.1 * g / (total + 1e-6)"
    )
    report = network(clipped)
    moved = {u.parameter: (u.movement, u.moved_by) for u in report.passes[0].flow.updates}
    assert moved["W1"] == (Movement.ANOTHERS, ("dW2",))
    assert moved["b1"][0] is Movement.DESCENDS
    assert [g.verdict.value for g in report.rows] == ["correct"] * len(report.rows)


@pytest.mark.parametrize(
    "update",
    [
        "W1.grad, b1.grad, W2.grad, b2.grad = dW2, db1, dW1, db2",
        "W1 -= 0.1 * dW2\n    b1 -= 0.1 * db1",
    ],
    ids=["set as .grad", "one alone"],
)
def test_the_gradient_is_right_and_only_its_use_is_wrong(update: str) -> None:
    report = network(f"{update}\n    break")
    assert {g.verdict.value for g in report.rows} == {"correct"}
    moved = {u.parameter: (u.movement, u.moved_by) for u in report.passes[0].flow.updates}
    assert moved["W1"] == (Movement.ANOTHERS, ("dW2",))
    assert {f.rule for f in report.findings if f.severity == "error"} == {"GC104"}


def test_a_gradient_of_the_turn_before() -> None:
    """Both weight gradients that the loop computes are of the layer above, and each is told of its own weights."""
    report = report_on_source("""
        import torch
        torch.manual_seed(18)
        W = [torch.randn(6, 6) / 6**0.5 for _ in range(3)]
        a = [torch.randn(10, 6)]
        for i in range(3):
            a.append(torch.tanh(a[i] @ W[i]))
        loss = 0.5 * (a[-1] ** 2).sum(1).mean()
        dW = [None] * 3
        delta = a[-1] / 10 * (1 - a[-1] ** 2)
        dW[2] = a[2].T @ delta
        for i in (1, 0):
            dW[i] = a[i].T @ delta
            delta = (delta @ W[i + 1].T) * (1 - a[i + 1] ** 2)
        for i in range(3):
            W[i] -= 0.1 * dW[i]
    """)
    (row,) = [g for g in report.rows if g.verdict == "introduced"]
    assert (row.name, row.occurrences) == ("dW[i]", 2)
    assert row.of in ("W[0]", "W[1]")
    (note,) = row.notes
    assert note.startswith("`delta` is still what line 1")
    assert note.endswith(
        "made of it; line 14 assigns it again only afterwards, and with that value this line would be right"
    )


@pytest.mark.parametrize("wrong", ["dz = dh + 0.1 * h", "dz = dh + 0 * h", "dz = dh + 0.1 * z"])
def test_only_a_parameter_decays(wrong: str) -> None:
    text = NETWORK.format(
        before="", loss=ENTROPY[0], dlogits=ENTROPY[1], update="for p, g in zip(params, grads): p -= 0.1 * g"
    )
    report = report_on_source(text.replace("dz = dh * (1 - h**2)", wrong))
    assert [g.name for g in report.rows if g.verdict == "introduced"] == ["dz"]


LOSSES = {
    "cross-entropy": (*ENTROPY, True),
    "mean of squares": ("((logits - 1) ** 2).mean()", "2 * (logits - 1) / logits.numel()", True),
    "half a product": ("0.5 * ((logits - 1) * (logits - 1)).sum()", "(logits - 1)", False),
    "negative log-likelihood": (
        "-F.log_softmax(logits, 1)[torch.arange(20), Y].mean()",
        ENTROPY[1],
        True,
    ),
    "log-likelihood": (
        "F.log_softmax(logits, 1)[torch.arange(20), Y].mean()",
        "(F.one_hot(Y, 6) - F.softmax(logits, 1)) / 20",
        False,
    ),
    "score": ("-((logits - 1) ** 2).mean()", "-2 * (logits - 1) / logits.numel()", False),
}


@pytest.mark.parametrize("name", LOSSES)
def test_going_uphill_is_a_fault_only_on_what_can_only_be_meant_to_fall(name: str) -> None:
    loss, gradient, minimised = LOSSES[name]
    report = network("for p, g in zip(params, grads): p += 0.1 * g", loss=(loss, gradient))
    assert movements(report) == {Movement.ASCENDS}
    assert report.passes[0].flow.minimised is minimised
    assert [f.rule for f in report.findings] == ["GC104"] * minimised


BRANCHES = """
import torch
torch.manual_seed(4)
x = torch.randn(12, 5)
W, V, U = torch.randn(5, 5) * 0.5, torch.randn(5, 5) * 0.5, torch.randn(5, 5) * 0.5
z = x @ W
h = torch.tanh(z)
left = h @ V
right = h @ U
loss = (left**2).mean() + (right**3).mean()
dleft = 2 * left / 60
dright = 3 * right**2 / 60
dV = h.T @ dleft
dU = h.T @ dright
dh = dleft @ V.T
{lines}
dW = x.T @ dz
"""


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["dz = dh * (1 - h**2)", "dh += dright @ U.T"],
            "it reads `dh` before line 17 adds the rest of it; for what `dh` holds at that point, this line is right",
        ),
        (
            ["dz = dh * (1 - h**2)", "dh = dh + dright @ U.T"],
            "it reads `dh` before line 17 adds the rest of it; for what `dh` holds at that point, this line is right",
        ),
    ],
    ids=["in place", "rebound"],
)
def test_a_gradient_read_before_it_is_complete(lines: list[str], told: str) -> None:
    report = report_on_source(BRANCHES.format(lines="\n".join(lines)))
    (row,) = [g for g in report.rows if g.verdict == "introduced"]
    assert (row.name, row.notes) == ("dz", [told])
    (finding,) = report.findings
    assert told in finding.notes


def test_a_line_that_is_simply_wrong_is_told_nothing() -> None:
    report = report_on_source(BRANCHES.format(lines="dh += dright @ U.T\ndz = dh * (1 - h)"))
    (row,) = [g for g in report.rows if g.verdict == "introduced"]
    assert row.notes == []
    assert [f.rule for f in report.findings] == ["GC101"]


def test_an_unused_gradient_that_nobody_goes_past_is_nobodys_business() -> None:
    """The fused line is wrong for a reason of its own, beside a gradient that is only printed."""
    lines = "dh += dright @ U.T\ndz = dh * (1 - h**2)\nprint(dz.norm())"
    text = BRANCHES.format(lines=lines)
    for fused in ("x.T @ (dh * (1 - h))", "x.T @ (dh * (1 - h * h))"):
        report = report_on_source(text.replace("dW = x.T @ dz", f"dW = {fused}"))
        assert "GC103" not in [f.rule for f in report.findings]
    report = report_on_source(text.replace("dW = x.T @ dz", "dW = x.T @ dh"))
    (finding,) = report.findings  # one line goes past it: that line is wrong
    assert finding.rule == "GC101"
    assert any("`dz`" in note and "which nothing reads" in note for note in finding.notes)


def test_a_parameter_that_moves_by_nothing_that_was_found_is_unseen():
    text = NETWORK.replace("    db1 = dz.sum(0)\n", "").replace("dW1, db1,", "dW1,")
    text = text.replace("params = [W1, b1,", "params = [W1,")
    step = "for p, g in zip(params, grads): p -= 0.1 * g\n    {}"
    for last, expected in (
        ("b1 -= 0.1 * dz.sum(0)", set()),
        ("b1 -= 0.01", {"b1"}),
    ):
        source = text.format(update=step.format(last), before="", loss=ENTROPY[0], dlogits=ENTROPY[1])
        report = report_on_source(source)
        rows = {row.of for row in report.rows}
        unseen = {update.parameter for update in report.passes[0].flow.updates if update.unseen}
        assert unseen == expected - rows, (last, rows)
    assert report.to_dict()["incomplete"] == ["no gradient of `b1` was found, though the program moves it"]


def test_a_program_that_exits_is_told_so(tmp_path):
    with pytest.raises(ProgramError) as raised:
        report_on_source("import sys\nimport torch\nx = torch.ones(3) * 2\nsys.exit(3)\n")
    assert "the program called exit(3) at " in raised.value.message
    assert "numpy" not in raised.value.hint.lower()


@pytest.mark.parametrize(("bound", "accused"), [("min=0.0", True), ("max=1.0", False)])
def test_what_has_a_least_value_is_meant_to_fall(bound: str, accused: bool) -> None:
    text = f"""
import torch
torch.manual_seed(2)
x, w = torch.randn(9, 4), torch.randn(4, 3)
z = x @ w
value = z.clamp({bound}).mean()
dz = 0.3 * z + 1
dw = x.T @ dz
"""
    if accused:
        assert [f.location.line for f in report_on_source(text).findings if f.rule == "GC101"] == [7]
    else:
        with pytest.raises(ProgramError):
            report_on_source(text)
