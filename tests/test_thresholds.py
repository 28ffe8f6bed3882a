"""The table of thresholds, and what may be set in the place of its numbers."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.base.thresholds import (
    TABLE,
    Threshold,
    ThresholdError,
    checked,
    find_threshold,
    thresholds_with,
)
from gradcheck.checks.page import rule_page, thresholds_table
from gradcheck.checks.registry import all_rules, find_rule

each_threshold = pytest.mark.parametrize("threshold", TABLE, ids=lambda threshold: threshold.key)


@each_threshold
def test_a_threshold_is_complete_and_its_default_is_sensible(threshold: Threshold) -> None:
    assert re.fullmatch(r"GC\d{3}", threshold.rule)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", threshold.name)
    assert len(threshold.source.split()) >= 4
    assert threshold.unit
    assert checked(threshold.key, threshold.default) == threshold.default
    assert not threshold.range or threshold.range[0] in "fu"


def test_keys_are_unique() -> None:
    assert len({threshold.key for threshold in TABLE}) == len(TABLE)


def test_every_threshold_is_of_a_rule() -> None:
    assert {threshold.rule for threshold in TABLE} <= {rule.code for rule in all_rules()}


def test_the_page_of_a_rule_shows_its_thresholds() -> None:
    rule = find_rule("GC202")
    assert rule is not None
    page = rule_page(rule)
    assert (
        f"### Thresholds\n\n- `GC202.tanh-limit` = 0.97 of abs(tanh(z)): {find_threshold('GC202.tanh-limit').source}\n"
        in page
    )


def test_an_override_counts_and_all_else_has_its_default() -> None:
    thresholds = thresholds_with({"gc202.Tanh-Limit": 1})
    assert thresholds["GC202.tanh-limit"] == 1.0
    assert thresholds["GC202.pre-activation-limit"] == 9.5
    assert thresholds_with() == {threshold.key: threshold.default for threshold in TABLE}


def test_every_key_that_a_rule_reads_is_in_the_table() -> None:
    files = (Path(__file__).parents[1] / "gradcheck").rglob("*.py")
    read = {
        key
        for file in files
        for key in re.findall(r'thresholds\["([^"]+)"\]', file.read_text(encoding="utf-8"))
    }
    assert read == {threshold.key for threshold in TABLE}


@pytest.mark.parametrize(
    ("key", "number", "message", "hint"),
    [
        ("GC202.tanh-limt", 1.0, "there is no threshold `GC202.tanh-limt`", "did you mean `GC202.tanh-limit`?"),
        ("tanh-limit", 1.0, "there is no threshold `tanh-limit`", "did you mean `GC202.tanh-limit`?"),
        ("nothing", 1.0, "there is no threshold `nothing`", "`gradcheck rules --thresholds` lists them"),
        ("GC202.tanh-limit", 1.5, "`GC202.tanh-limit` must be from 0 to 1, not 1.5", "the default is 0.97"),
        ("GC202.tanh-limit", -0.1, "`GC202.tanh-limit` must be from 0 to 1, not -0.1", "the default is 0.97"),
        ("GC202.pre-activation-limit", -1, "must be from 0 up, not -1", "the default is 9.5"),
        ("GC202.tanh-limit", "0.9", "`GC202.tanh-limit` must be a number, not '0.9'", "the default is 0.97"),
        ("GC202.tanh-limit", True, "must be a number, not True", ""),
        ("GC202.tanh-limit", float("nan"), "must be a number, not nan", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_set(key: str, number: object, message: str, hint: str) -> None:
    with pytest.raises(ThresholdError) as raised:
        checked(key, number)
    assert message in raised.value.message
    assert hint in raised.value.hint
    with pytest.raises(ThresholdError):
        thresholds_with({key: number})  # type: ignore[dict-item]


def test_ranges_in_words() -> None:
    ends = [(None, None), (0, None), (None, 2.5), (0, 1)]
    words = [Threshold("GC202", "x", 0, "", "", low, high).range for low, high in ends]
    assert words == ["", "from 0 up", "up to 2.5", "from 0 to 1"]


def test_the_saturation_limits_are_what_their_sources_say() -> None:
    import torch

    limit = find_threshold("GC202.pre-activation-limit").default
    z = torch.linspace(limit, 20, 10_001)
    assert bool(((1 - torch.tanh(z) ** 2) == 0).all())
    assert bool(((1 - torch.tanh(-z) ** 2) == 0).all())
    slope = 1 / torch.cosh(torch.tensor(limit, dtype=torch.float64)) ** 2
    assert float(slope) == pytest.approx(2.2e-8, rel=0.02)
    assert float(slope) < torch.finfo(torch.float32).eps


def test_the_module_needs_no_torch_and_no_stage() -> None:
    program = (
        "import sys; import gradcheck.base.thresholds;"
        "print([n for n in sys.modules if n == 'torch' or n.startswith('gradcheck.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['gradcheck.base', 'gradcheck.base.version', 'gradcheck.base.thresholds']"


def test_the_table_shows_every_threshold() -> None:
    lines = thresholds_table().splitlines()
    assert len({len(line) for line in lines}) == 1
    for threshold, line in zip(TABLE, lines[2:], strict=True):
        assert line.startswith(f"| `{threshold.key}`")
        assert threshold.source in line


def test_the_documentation_is_up_to_date() -> None:
    docs = Path(__file__).parents[1] / "docs"
    made = runpy.run_path(str(docs / "make_rules.py"))
    assert (docs / "thresholds.md").read_text(encoding="utf-8") == made["thresholds_page"](), (
        "run `python docs/make_rules.py`"
    )
