"""`dx = dxhat`: what a second name is there for."""

from __future__ import annotations

from tests.support import report_on_source

PROGRAM = """
import torch
torch.manual_seed(5)
x, goal = torch.randn(9, 4), torch.randn(9, 4)
pre = x.mean(1, keepdim=True) * x
mean = pre.mean(0)
centred = pre - mean
loss = ((torch.sin(centred) - goal) ** 2).mean()
dcentred = 2 * (torch.sin(centred) - goal) / 36 * torch.cos(centred)
dpre = dcentred
"""


def test_an_output_that_is_only_another_gradient_again_is_wrong() -> None:
    (finding,) = report_on_source(PROGRAM).findings
    assert (finding.rule, finding.location.line) == ("GC101", 10)


def test_with_the_missing_term_it_is_right() -> None:
    assert report_on_source(PROGRAM + "dpre = dpre - dcentred.mean(0)\n").findings == []


EXERCISE = """
import torch
torch.manual_seed(5)
x, goal, W, b, V = torch.randn(9, 4), torch.randn(9, 3), torch.randn(4, 5), torch.zeros(5), torch.randn(5, 3)
pre = x @ W + b
h = torch.tanh(pre)
out = h @ V
loss = ((out - goal) ** 2).mean()
dout = 2 * (out - goal) / 27
dV = h.T @ dout
dh = dout @ V.T
dpre = dh * (1 - h**2)
db = dpre
dW = x.T @ dpre
"""


def test_what_is_read_under_its_first_name_is_not_read_under_the_second() -> None:
    (finding,) = report_on_source(EXERCISE).findings
    assert (finding.rule, finding.location.line) == ("GC106", 13)
    assert report_on_source(EXERCISE.replace("db = dpre", "db = dpre.sum(0)")).findings == []


def test_a_copy_that_is_masked_afterwards_is_no_misnamed_gradient_behind_a_fault() -> None:
    source = """
        import torch
        torch.manual_seed(0)
        x, y = torch.randn(9, 4), torch.randn(9, 2)
        w1, w2 = torch.randn(4, 6), torch.randn(6, 2)
        for step in range(3):
            z1 = x @ w1
            a1 = z1.clamp(min=0)
            out = a1 @ w2
            loss = ((out - y) ** 2).mean()
            dout = {dout}
            dw2 = a1.T @ dout
            da1 = dout @ w2.T
            dz1 = da1.clone()
            dz1[z1 < 0] = 0
            dw1 = x.T @ dz1
            w1 -= 0.1 * dw1
            w2 -= 0.1 * dw2
    """
    for dout, rules in (("2 * (out - y) / 18", []), ("(out - y) ** 2 / 18", ["GC101"])):
        report = report_on_source(source.format(dout=dout), fix_budget_s=0.0)
        assert [finding.rule for finding in report.findings if finding.rule < "GC2"] == rules


RETURNED = """
import torch
torch.manual_seed(5)

class Centred(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.sin(x - x.mean(1, keepdim=True))

    @staticmethod
    def backward(ctx, dy):
        dc = dy * slope
        dx = dc
        return dx

w, inputs = torch.randn(4, 5, requires_grad=True), torch.randn(9, 4)
x = inputs @ w
slope = torch.cos(x - x.mean(1, keepdim=True)).detach()
loss = (Centred.apply(x) ** 2).mean()
loss.backward()
"""


def test_what_is_returned_under_its_second_name_is_told_where_it_has_that() -> None:
    (finding,) = report_on_source(RETURNED).findings
    assert (finding.rule, finding.location.line) == ("GC101", 13)
