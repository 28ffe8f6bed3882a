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


def test_data_and_parameters_with_names_of_gradients_are_none() -> None:
    for name in ("g", "dt", "delta"):
        text = PROGRAM.replace("frames", name).replace("range(200)", "range(40)")
        report = report_on_source(text)
        assert len(report.passes) == 1
        assert {row.verdict.value for row in report.passes[0].gradients} == {"correct"}


def test_the_step_of_an_update_under_a_name() -> None:
    text = PROGRAM.replace("p -= 0.1 * d", "part = -0.1 * d\n        p += part")
    assert {row.verdict.value for row in report_on_source(text).passes[0].gradients} == {"correct"}
