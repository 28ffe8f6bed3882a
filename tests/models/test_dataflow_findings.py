"""What the rules about dataflow say of the bundled programs, and that right ones are not fixed."""

from __future__ import annotations

import pytest

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions
from tests.support import in_child


@pytest.mark.parametrize(
    ("model", "skipped"),
    [("two_layer", []), ("three_layer", []), ("day70", ["d_pre_batch_norm_2"]), ("day70_tanh", [])],
)
def test_findings_about_dataflow(model: str, skipped: list[str]) -> None:
    budget = 0.0 if model.startswith("day70") else 0.5
    options = SessionOptions(f"models/{model}.py", timeout_s=60.0, fix_budget_s=budget, select=("GC1",))
    report = in_child(lambda: run_report(options).to_dict(), timeout_s=100.0)
    assert budget == 0.0 or not any(finding["fix"] for finding in report["findings"])
    about = [f for f in report["findings"] if f["rule"] in ("GC103", "GC104", "GC105")]
    assert [(f["rule"], f["evidence"]["gradient"]) for f in about] == [("GC103", name) for name in skipped]
    if skipped:
        assert {b["gradient"] for b in about[0]["evidence"]["bypassed_by"]} == {"d_A_1", "d_W_2", "d_b_2"}
