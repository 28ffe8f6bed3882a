"""A line that runs several times in a step, back through time: it alone is accused, and no sum over the turns is."""

from __future__ import annotations

import pytest

from tests.support import ROOT, report_on_source

PROGRAM = (ROOT / "tests" / "programs" / "updates_inputs_and_states.py").read_text()
SLOPE, CARRY = "draw = dh * (1 - hs[t + 1] ** 2)", "dh = draw @ Wh.T"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (SLOPE, "draw = dh * 1.0"),
        (SLOPE, "draw = dh * (1 - hs[t] ** 2)"),
        (SLOPE, "draw = dh * (1 + hs[t + 1] ** 2)"),
        (SLOPE, "draw = torch.ones_like(dh)"),
        (CARRY, "dh = -draw @ Wh.T"),
        (CARRY, "dh = 0 * (draw @ Wh.T)"),
        (CARRY, "dh = torch.zeros_like(dh)"),
    ],
)
def test_one_line_is_accused(right: str, wrong: str) -> None:
    assert right in PROGRAM
    (judged,) = report_on_source(PROGRAM.replace(right, wrong)).passes
    line = next(i for i, text in enumerate(PROGRAM.splitlines(), 1) if right in text)
    accused = {
        row.location.line for row in judged.gradients if row.verdict.value in ("introduced", "compensated")
    }
    assert accused == {line}


REGRESSION = """
import torch
torch.manual_seed(4)
{data} = torch.randn(30, 3)
y = {data} @ torch.randn(3, 1)
{weight}, b = torch.zeros(3, 1), torch.zeros(1)
for step in range(60):
    out = {data} @ {weight} + b
    loss = ((out - y) ** 2).mean()
    dL_dout = 2 * (out - y) / len(y)
    dL_dw = {data}.T @ dL_dout
    dL_db = dL_dout.sum(0)
    {weight} = {weight} - 0.1 * dL_dw
    b = b - 0.1 * dL_db
"""


@pytest.mark.parametrize(("data", "weight"), [("dt", "w"), ("x", "g"), ("dX", "delta")])
def test_data_and_parameters_with_names_of_gradients_are_none(data: str, weight: str) -> None:
    """The loop is left after one step, as it is with other names."""
    report = report_on_source(REGRESSION.format(data=data, weight=weight))
    (judged,) = report.passes
    assert [row.verdict.value for row in judged.gradients] == ["correct"] * 3


def test_the_step_of_an_update_under_a_name() -> None:
    text = (ROOT / "tests" / "programs" / "error_convention.py").read_text()
    update = "W_out += rate * hid.T @ out_delta"
    assert update in text
    named = text.replace(update, "part = rate * hid.T @ out_delta; W_out += part")
    (judged,) = report_on_source(named).passes
    assert {row.verdict.value for row in judged.gradients} == {"correct"}


def test_a_parameter_that_is_called_g_in_a_function() -> None:
    report = report_on_source("""
        import torch
        torch.manual_seed(4)

        def scaled(x, g, b):
            return x * g + b, (x, g)

        def scaled_backward(dout, cache):
            x, g = cache
            return dout * g, (dout * x).sum(0), dout.sum(0)

        x, y = torch.randn(30, 3), torch.randn(30, 1)
        w, gain, shift = torch.randn(3, 1), torch.ones(3), torch.zeros(3)
        for step in range(40):
            a, cache = scaled(x, gain, shift)
            loss = ((a @ w - y) ** 2).mean()
            dout = 2 * (a @ w - y) / len(y)
            dw = a.T @ dout
            dx, dgain, dshift = scaled_backward(dout @ w.T, cache)
            for p, d in ((w, dw), (gain, dgain), (shift, dshift)):
                p -= 0.1 * d
    """)
    (judged,) = report.passes
    assert {row.verdict.value for row in judged.gradients} == {"correct"}
    assert [finding.rule for finding in report.findings if finding.rule < "GC2"] == []
