"""The NumPy twins of the networks: the verdicts are those of the torch programs."""

from pathlib import Path

import pytest

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions

MODELS = Path(__file__).parents[2] / "models"


def test_two_layers_are_right_and_what_is_done_after_training_is_compared_too() -> None:
    report = run_report(SessionOptions(str(MODELS / "two_layer_numpy.py"), fix_budget_s=0))
    verdicts = {row.name: row.verdict.value for row in report.rows}
    assert verdicts.pop("d_b_1") == "unobservable"
    assert set(verdicts.values()) == {"correct"}
    assert len(verdicts) == 24
    assert [finding.rule for finding in report.findings] == ["GC302"]


@pytest.mark.parametrize(
    ("name", "introduced"),
    [("three_layer", []), ("day70", ["d_pre_batch_norm_2", "d_A_1", "d_W_2", "d_b_2"])],
)
def test_three_layers_have_the_verdicts_of_the_torch_program(
    name: str, introduced: list[str], tmp_path: Path
) -> None:
    text = (MODELS / f"{name}_numpy.py").read_text().partition("# %%\n# calibrate")[0]
    text = text.replace("data/names.txt", (MODELS / "data" / "names.txt").as_posix())
    program = tmp_path / "small.py"  # for speed: fewer units, and without what comes after the training
    program.write_text(text.replace("hidden_size = 200", "hidden_size = 20"))
    report = run_report(SessionOptions(str(program), select=("GC1",)))
    lines = text.splitlines()
    assert [row.name for row in report.rows if row.verdict.value == "introduced"] == introduced
    assert all(
        f"{row.name} = " in lines[row.location.line - 1] for row in report.rows if row.name in introduced
    )
    assert len(report.rows) == 20
    unobservable = [row.name for row in report.rows if row.verdict.value == "unobservable"]
    assert unobservable == (["d_b_1"] if introduced else ["d_b_2", "d_b_1"])
    wrong = [lines[f.location.line - 1].split(" =")[0].strip() for f in report.findings if f.rule == "GC101"]
    assert wrong == (["var_inv_2", *introduced[1:]] if introduced else [])
    proved = [f for f in report.findings if f.fix is not None]
    assert len(proved) == len(wrong)
