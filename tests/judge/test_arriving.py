"""A backward function is right only if it is for every upstream gradient, not just for the ones of a `sum()`."""

from __future__ import annotations

import pytest

from tests.support import report_on_source

FUNCTION = """
import torch
torch.manual_seed(0)
class Softplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.log1p(x.exp())
    @staticmethod
    def backward(ctx, up):
        (x,) = ctx.saved_tensors
        return {returned}
x = torch.randn(5, 3, requires_grad=True)
loss = Softplus.apply(x).{reduced}()
loss.backward()
"""

LAYER = """
import torch
torch.manual_seed(0)
class Square:
    def forward(self, x):
        self.x = x
        return x**2
    def backward(self, dout):
        return 2 * self.x {times}
class Line:
    def __init__(self):
        self.w = torch.randn(3, 2)
    def forward(self, x):
        self.x = x
        return x @ self.w
    def backward(self, dout):
        self.dw = self.x.T @ dout
        return dout @ self.w.T
line, square = Line(), Square()
x = torch.randn(5, 3)
y = square.forward(line.forward(x))
loss = y.sum()
dy = torch.ones(5, 2)
dx = line.backward(square.backward(dy))
"""

HELPER = """
import torch
torch.manual_seed(0)
def scale_backward(up, x, gain, dgain):
    dgain.copy_((up * x).sum(0))
    return {dx}
x, gain = torch.randn(6, 4), torch.rand(4)
out = x * gain
loss = out.mean()
dout = torch.full_like(out, 1 / 24)
dgain = torch.zeros(4)
dx = scale_backward(dout, x, gain, dgain)
"""

BEHIND_ZERO = """
import torch
torch.manual_seed(0)
x, w, y = torch.randn(6, 4), torch.randn(4, 3), torch.randint(0, 3, (6,))
scores = x @ w
shift = scores.mean(1, keepdim=True)
centred = scores - shift
loss = torch.logsumexp(centred, 1).mean() - centred[range(6), y].mean()
dcentred = centred.softmax(1)
dcentred[range(6), y] -= 1
dcentred /= 6
dshift = -dcentred.sum(1, keepdim=True)
dscores = dcentred + {factor} * dshift
dw = x.T @ dscores
"""


def verdicts(text: str) -> list[tuple[str, str, str]]:
    (judged,) = report_on_source(text, fix_budget_s=0.0).passes
    return [(row.name, row.verdict.value, row.problem.value) for row in judged.gradients]


@pytest.mark.parametrize(
    ("returned", "is_right"),
    [
        ("up * x.sigmoid()", True),
        ("x.sigmoid()", False),
        ("up[0, 0] * x.sigmoid()", False),
        ("up.mean() * x.sigmoid()", False),
    ],
)
def test_functions(returned: str, is_right: bool) -> None:
    ((_, verdict, problem),) = verdicts(FUNCTION.format(returned=returned, reduced="sum"))
    assert (verdict, problem) == (("correct", "") if is_right else ("introduced", "one-upstream"))


def test_the_finding_says_what_was_done() -> None:
    report = report_on_source(FUNCTION.format(returned="x.sigmoid()", reduced="sum"), fix_budget_s=0.0)
    (finding,) = report.findings
    assert finding.rule == "GC102"
    assert "only for the upstream gradient of this loss" in finding.message


@pytest.mark.parametrize(
    ("times", "wrong"),
    [("* dout", set()), ("", {"2 * self.x"}), ("* dout.max()", {"2 * self.x * dout.max()"})],
)
def test_layers(times: str, wrong: set[str]) -> None:
    found = verdicts(LAYER.format(times=times))
    assert {verdict for _, verdict, _ in found} == {"correct"} | ({"introduced"} if wrong else set())
    assert sum(verdict == "introduced" for _, verdict, _ in found) == len(wrong)


@pytest.mark.parametrize(
    ("dx", "verdict"), [("up * gain", "correct"), ("gain.expand(6, 4) / 24", "introduced")]
)
def test_helpers_that_fill_a_buffer(dx: str, verdict: str) -> None:
    found = {name: verdict for name, verdict, _ in verdicts(HELPER.format(dx=dx))}
    assert found == {"dout": "correct", "dgain": "correct", "dx": verdict}


@pytest.mark.parametrize(("factor", "verdict"), [("1 / 3", "correct"), ("0.5", "unobservable")])
def test_a_line_behind_a_gradient_of_zero_is_not_shown_to_be_right(factor: str, verdict: str) -> None:
    found = {name: verdict for name, verdict, _ in verdicts(BEHIND_ZERO.format(factor=factor))}
    assert found == {"dcentred": "correct", "dshift": "unobservable", "dscores": verdict, "dw": "correct"}


SATURATED = """
import torch
torch.manual_seed(0)
def softmax_backward(up, y):
    dx = y * up
    return {returned}
x = torch.randn(6, 4, dtype=torch.float64) + 34 * torch.eye(4, dtype=torch.float64)[[0, 1, 2, 3, 0, 1]]
v = torch.randn(4, 3, dtype=torch.float64)
e = (x - x.max(1, keepdim=True).values).exp()
y = e / e.sum(1, keepdim=True)
out = y @ v
loss = (out**2).mean()
dout = 2 * out / out.numel()
dy = dout @ v.T
dx = softmax_backward(dy, y)
dv = y.T @ dout
"""


@pytest.mark.parametrize(
    ("returned", "right"),
    [("dx - y * dx.sum(1, keepdim=True)", True), ("dx - dx * dx.sum(1, keepdim=True)", False)],
)
def test_what_cancels_behind_a_saturated_softmax_is_rounding(returned: str, right: bool) -> None:
    report = report_on_source(SATURATED.format(returned=returned))
    verdicts = {row.name: row.verdict.value for each in report.passes for row in each.gradients}
    assert (verdicts["dx"] == "correct") == right


def test_a_function_behind_another_one_is_asked_too() -> None:
    """What it returns arrives at the other one, where it is replaced as well: that the other one is right says nothing."""
    source = FUNCTION.format(returned="{returned}", reduced="sum").replace(
        "loss = Softplus.apply(x)", "loss = Softplus.apply(Softplus.apply(x) + 1)"
    )
    right = report_on_source(source.replace("{returned}", "up * torch.sigmoid(x)"))
    assert not [finding for finding in right.findings if finding.rule < "GC2"]
    wrong = report_on_source(source.replace("{returned}", "up.sum() / up.numel() * torch.sigmoid(x)"))
    assert [finding.rule for finding in wrong.findings if finding.rule < "GC2"] != []
    last = source.replace("Softplus.apply(Softplus.apply(x) + 1)", "Last.apply(Softplus.apply(x))")
    last = last.replace("{returned}", "up * torch.sigmoid(x)").replace(
        "x = torch.randn(5", LAST + "x = torch.randn(5"
    )
    assert [finding.rule for finding in report_on_source(last).findings if finding.rule < "GC2"] == ["GC102"]


LAST = """
class Last(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x ** 2).sum(1)
    @staticmethod
    def backward(ctx, up):
        (x,) = ctx.saved_tensors
        return 2 * x * up[0]
"""


ALONG_WITH_OTHERS = """
import torch
torch.manual_seed(0)
def column(t):
    return t[None, :]
def passed_on(g, x, w):
    return g @ w.T, x.T @ g
class Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        z = x @ w
        total = z.sum(0)
        spread = z.var(0, unbiased=False)
        ctx.save_for_backward(x, w, z, total, spread)
        return z / column(spread)
    @staticmethod
    def backward(ctx, up):
        x, w, z, total, spread = ctx.saved_tensors
        n = len(z)
        dspread = -(up * z).sum(0) / spread**2
        dz = z * column(dspread * n)
        dz = dz + column(-dspread * total)
        dz = dz * 2 / n**2 + up / column(spread)
        return passed_on(dz, x, w)
x, w = torch.randn(6, 4, requires_grad=True), torch.randn(4, 3, requires_grad=True)
loss = (Spread.apply(x, w) ** 3).sum()
loss.backward()
"""


def test_of_several_things_handed_to_a_helper_one_alone_is_not_replaced() -> None:
    """Beside a multiple of the gradient of `spread` another one arrives: random numbers for one of both fit nothing."""
    report = report_on_source(ALONG_WITH_OTHERS, fix_budget_s=0.0)
    assert [finding.message for finding in report.findings if finding.rule < "GC2"] == []
