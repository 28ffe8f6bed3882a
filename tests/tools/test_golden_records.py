"""What golden reports leave out, and what they show of a change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tools.golden_records import ROUNDING, ZERO, differences, normalised

ROOT = "/somewhere/project"


def report() -> dict[str, Any]:
    return {
        "target": "a.py",
        "gradients": [
            {
                "name": name,
                "location": {"file": "a.py", "cell": None, "line": line, "end_line": line},
                "verdict": "correct",
                "total_error": 0.4321,
                "reason": "3 samples prove too little",
                "notes": ["a note"],
                "pass_index": 0,
            }
            for name, line in (("dW", 3), ("db", 4), ("db", 9))
        ],
    }


def shown(old: Any, new: Any) -> list[str]:
    return [str(change) for change in differences(old, new)]


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("loss_value", 2.38452254, 2.38),
        ("loss_value", -1.5e-13, ZERO),
        ("loss_value", 1.5e-8, 1.5e-8),
        ("total_error", 2.1e-9, ZERO),
        ("total_error", 7.04e-6, 7.04e-6),
        ("noise", 5.1e-8, ROUNDING),
        ("noise", None, None),
        ("loss_value", float("nan"), "nan"),
        ("seconds", 1.25, "<time>"),
        ("line", 1234567, 1234567),
        ("curved", True, True),
        ("message", f"{ROOT}/a.py took 1.3 s, 3.21987e-05 off", "<root>/a.py took <time>, 3.22e-05 off"),
        ("message", "version 1.2.3 of <Layer at 0x7f00aa11bb22>", "version 1.2.3 of <Layer at <address>>"),
        ("message", "in /tmp/gradcheck-x1y2/a.txt: gone", "in <temporary>: gone"),
        ("message", "differs by 3.1e-17", f"differs by {ZERO}"),
        ("diff", "- x * 0.01\n+ x * 0.0125\n", "- x * 0.01\n+ x * 0.0125\n"),
    ],
)
def test_what_is_kept(key: str, value: Any, kept: Any) -> None:
    assert normalised({key: value}, ROOT) == {key: kept}


def test_the_worst_element_of_a_right_gradient_is_a_matter_of_rounding() -> None:
    row = {"total_error": 1e-16, "worst": {"index": [3]}, "mismatched": 7, "cosine": 0.3}
    right = normalised(row | {"expected_norm": 1e-17, "found_norm": 2e-17}, ROOT)
    wrong = normalised(row | {"total_error": 0.1}, ROOT)
    assert (right["worst"], right["mismatched"], right["cosine"]) == (ROUNDING, ROUNDING, ROUNDING)
    assert (wrong["worst"], wrong["mismatched"], wrong["cosine"]) == ({"index": [3]}, 7, 0.3)


def test_equal_reports_and_the_other_side_of_a_half_are_no_change() -> None:
    new = deepcopy(report())
    new["gradients"][0]["total_error"] = 0.4335
    assert differences(report(), new) == []


def test_a_verdict_and_a_number_are_changes_of_fact() -> None:
    new = deepcopy(report())
    new["gradients"][2] |= {"verdict": "introduced", "total_error": 0.45}
    changes = differences(report(), new)
    assert [change.is_wording for change in changes] == [False, False]
    assert shown(report(), new) == [
        "gradients[db at 9 pass 0].verdict: 'correct' -> 'introduced'",
        "gradients[db at 9 pass 0].total_error: 0.4321 -> 0.45",
    ]


def test_wording_is_told_apart_and_other_numbers_in_it_are_pointed_out() -> None:
    new = deepcopy(report())
    new["gradients"][0] |= {"reason": "only 3 samples", "notes": ["a remark"]}
    new["gradients"][1]["reason"] = "only 4 samples"
    changes = differences(report(), new)
    assert [change.is_wording for change in changes] == [True, True, True]
    assert [str(change).endswith("(with other numbers)") for change in changes] == [False, False, True]


def test_one_more_note_or_no_reason_is_no_mere_wording() -> None:
    new = deepcopy(report())
    new["gradients"][0]["notes"].append("another")
    new["gradients"][1]["reason"] = ""
    new["gradients"][2]["reason"] = None
    assert [change.is_wording for change in differences(report(), new)] == [False, False, False]


def test_a_row_that_is_gone_or_new_is_one_change() -> None:
    new = deepcopy(report())
    del new["gradients"][0]
    new["gradients"].append(report()["gradients"][0] | {"name": "dx"})
    assert shown(report(), new) == [
        "gradients[dW at 3 pass 0]: {verdict correct} -> nothing",
        "gradients[dx at 3 pass 0]: nothing -> {verdict correct}",
    ]


def test_another_order_is_a_change() -> None:
    new = deepcopy(report())
    new["gradients"].reverse()
    (change,) = differences(report(), new)
    assert change.where == "gradients (order)"
    assert not change.is_wording


def test_a_program_that_is_new() -> None:
    assert shown({"checks": []}, {"checks": [], "health": None}) == ["health: nothing -> None"]


def test_a_layers_reason_is_wording_and_its_verdict_is_not() -> None:
    old = {"gradients": {"dx": "it was not reached", "dw": "correct"}}
    new = {"gradients": {"dx": "nothing reached it", "dw": "unchecked"}}
    assert [change.is_wording for change in differences(old, new)] == [True, False]
