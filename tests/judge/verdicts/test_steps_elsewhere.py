"""The gradient of a scale in quantisation, on a number for which it is zero at first."""

from __future__ import annotations

from gradcheck.judge.verdict import Verdict
from tests.support import report_on_source

SOURCE = """
    import torch

    class Quantised(torch.autograd.Function):
        @staticmethod
        def forward(ctx, weight, scale, low, high):
            ctx.save_for_backward(weight, scale)
            ctx.range = low, high
            return (weight / scale).round().clamp(low, high) * scale

        @staticmethod
        def backward(ctx, dq):
            weight, scale = ctx.saved_tensors
            low, high = ctx.range
            q = weight / scale
            under, over = (q < low).float(), (q > high).float()
            inside = 1 - under - over
            dscale = ((under * low + over * high + inside * (q.round() - q)) * dq).sum().unsqueeze(0)
            return inside * dq, dscale, None, None

    torch.manual_seed(0)
    weight = torch.zeros(1, requires_grad=True)
    scale = torch.ones(1, requires_grad=True)
    loss = Quantised.apply(weight, scale, -8, 7)
    loss.backward()
"""


def test_where_the_forward_pass_steps_no_point_shows_a_wrong_gradient():
    report = report_on_source(SOURCE)
    assert not report.findings
    verdicts = {row.name: row.verdict for row in report.rows}
    assert verdicts["dscale"] is Verdict.UNCHECKED
