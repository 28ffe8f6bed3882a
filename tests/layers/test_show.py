"""The table of the cases of a layer: one line each, and no reason twice."""

from __future__ import annotations

from gradcheck.layers import show
from gradcheck.layers.records import CaseResult, LayerResults, Status


def test_a_reason_is_said_once() -> None:
    cases = [
        CaseResult("several rows", 2, ["3,4"], Status.NOT_JUDGED, "`dx`: it is a step function"),
        CaseResult("batch of 1", 2, ["1,4"], Status.NOT_JUDGED, "`dx`: it is a step function"),
        CaseResult("square", 2, ["4,4"], Status.PASSED),
        CaseResult("odd sizes", 2, ["3,7"], Status.NOT_JUDGED, "`dx`: it is a step function"),
    ]
    lines = show.text(LayerResults("f.py::F", 0, cases)).splitlines()
    assert [line.split("  ")[-1] for line in lines[2:6]] == [
        "`dx`: it is a step function",
        "as above",
        "passed",
        "`dx`: it is a step function",
    ]
