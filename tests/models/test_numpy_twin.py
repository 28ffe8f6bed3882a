"""The network of `two_layer.py` in NumPy: its gradients are right, and what is done after training is compared too."""

from pathlib import Path

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions

PROGRAM = Path(__file__).parents[2] / "models" / "two_layer_numpy.py"


def test_the_twin_in_numpy_is_right() -> None:
    report = run_report(SessionOptions(str(PROGRAM), fix_budget_s=0))
    verdicts = {row.name: row.verdict.value for row in report.rows}
    assert verdicts.pop("d_b_1") == "unobservable"
    assert set(verdicts.values()) == {"correct"}
    assert len(verdicts) == 24
    assert [finding.rule for finding in report.findings] == ["GC302"]
