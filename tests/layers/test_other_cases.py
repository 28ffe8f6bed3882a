"""What one case of a layer says rests on evidence that the other cases do not contradict."""

from __future__ import annotations

import torch

import gradcheck


class OtherSign:
    """With a single row, what is centred is zero, and the gradients of several values have the same numbers."""

    def forward(self, x):
        rows = len(x)
        mu = 1 / rows * x.sum(dim=0)
        xmu = x - mu
        sq = xmu**2
        var = 1 / rows * sq.sum(dim=0)
        sqrtvar = (var + 1e-5).sqrt()
        ivar = 1 / sqrtvar
        self.cache = xmu, ivar, sqrtvar
        return xmu * ivar

    def backward(self, dout):
        xmu, ivar, sqrtvar = self.cache
        rows, columns = dout.shape
        divar = (dout * xmu).sum(dim=0)
        dxmu1 = dout * ivar
        dsqrtvar = -1 / sqrtvar**2 * divar
        dvar = 0.5 / sqrtvar * dsqrtvar
        dsq = 1 / rows * torch.ones(rows, columns) * dvar
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1 + dxmu2
        dmu = (dxmu1 + dxmu2).sum(dim=0)  # wrong
        dx2 = 1 / rows * torch.ones(rows, columns) * dmu
        return dx1 + dx2


class Swapped:
    """The slope is 0.01 by default, and another one if somebody says so."""

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        self.x = x
        return x * self.negative_slope * (x <= 0).float() + x * (x > 0).float()

    def backward(self, dl_dz):
        dz_dx = self.negative_slope * (self.x > 0).float() + (self.x <= 0).float()  # wrong
        dl_dx = dz_dx * dl_dz
        return dl_dx


def test_a_line_is_not_accused_in_one_case_as_that_of_another_value() -> None:
    report = gradcheck.check_layer(OtherSign)
    (failure,) = report.failures
    assert failure.report is not None
    (finding,) = failure.report.findings
    assert finding.evidence["gradient"] == "dmu"
    assert finding.fix is not None


def test_a_number_that_the_constructor_is_given_is_another_one_too() -> None:
    (failure,) = gradcheck.check_layer(Swapped, ranks=[2]).failures
    assert failure.report is not None
    assert [f for f in failure.report.findings if f.fix is None or "0.01" not in f.fix.replacement]
