"""Two changes in a right program: their lines are accused and no right one is; what the second hides is unchecked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.judge.test_one_change import ACCUSED
from tests.support import ROOT, VERDICTS_ONLY, in_child, report_on_source

_NUMPY = ROOT / "tests" / "fronts" / "numpy" / "programs"
_TORCH = ROOT / "tests" / "programs"


@dataclass(frozen=True)
class Case:
    about: str
    path: Path
    changes: dict[str, str]
    accused: set[int]


CASES = [
    Case("a mask, and a mean that is not over the batch", _NUMPY / "columns_of_scores.py",
         {"(Z1 > 0)": "(Z1 < 0)", "db1 = 1 / m": "db1 = 2 / m"}, {23, 25}),
    Case("zeros, which every later line inherits", _NUMPY / "dict_by_depth.py",
         {'cache[f"A{depth}"] - y': 'cache[f"A{depth}"] - cache["A3"]', "* (1 - cache": "* (1 + cache"}, {22}),
    Case("a first line that is a multiple of another gradient, and a slope", _NUMPY / "dict_by_depth.py",
         {'dz = cache[f"A{depth}"] - y': "dz = -y", "* (1 - cache": "* (1 + cache"}, {22, 27}),
    Case("a constant first line, and a mean for a sum", _TORCH / "functions_dict_params.py",
         {"dZ2 = A2 - Y": "dZ2 = torch.ones_like(A2 - Y)", "db2 = dZ2.sum": "db2 = dZ2.mean"}, {31, 33}),
    Case("a first line without its mean, and a branch that is lost", _TORCH / "inline_branches_and_first_tries.py",
         {"= -1.0 / n": "= -1.0", "dcounts_sum_inv = (dprobs": "dcounts_sum_inv = 0 * (dprobs"}, {19, 23}),
    Case("a mask that leaves nothing, and half of a decay", _TORCH / "inplace_mask_relu.py",
         {"dh[h <= 0]": "dh[h >= 0]", "dWa += 2 * reg": "dWa += reg"}, {30, 32}),
    Case("a sign, and a factor of a later line", _TORCH / "rmsnorm_classes.py",
         {"d = 2 * (h - y)": "d = 2 * (y - h)", "dms = -0.5": "dms = 2 * -0.5"}, {47, 20}),
]  # fmt: skip


def _rows(case: Case) -> Any:
    text = case.path.read_text()
    for old, new in case.changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    report = in_child(lambda: report_on_source(text, **VERDICTS_ONLY).to_dict(), timeout_s=120.0)
    return report["gradients"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
def test_both_are_accused_and_no_right_line(case: Case) -> None:
    accused = {row["location"]["line"] for row in _rows(case) if row["verdict"] in ACCUSED}
    assert accused == case.accused


def test_a_wrong_one_whose_only_reader_is_wrong_too_is_not_said_to_be_harmless() -> None:
    changes = {"(probs - np.eye(3)[y])": "(-np.eye(3)[y])", "dW = X.T @ dscores": "dW = -(X.T @ dscores)"}
    rows = _rows(Case("", _NUMPY / "both_softmax_of_torch.py", changes, set()))
    (first,) = (row for row in rows if row["name"] == "dscores")
    assert first["verdict"] == "unchecked"
    assert "what is computed from it is wrong for another reason" in first["reason"]
