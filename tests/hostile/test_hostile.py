"""A part of the hostile inputs, another one for each seed; `benchmarks/hostile_inputs.py` runs all of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.hostile.checked import STUBBED, checked
from tests.hostile.inputs import Hostile, no_programs
from tests.hostile.programs import odd_programs, odd_tensors

SEED = 15
_OF_EACH_KIND = 2
_SLOW = ("sleep", "while True", "10**", "torch")


def some() -> list[Hostile]:
    """Of each kind a few, of those that take no time."""
    draw = random.Random(SEED)
    by_kind: dict[str, list[Hostile]] = {}
    for hostile in (*no_programs(SEED), *odd_programs()):
        if hostile.kind != "large" and not any(slow in str(hostile.files.get("p.py")) for slow in _SLOW):
            by_kind.setdefault(hostile.kind, []).append(hostile)
    return [each for kind in by_kind.values() for each in draw.sample(kind, min(_OF_EACH_KIND, len(kind)))]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")
@pytest.mark.parametrize("hostile", some(), ids=lambda hostile: hostile.kind)
def test_nothing_of_ours_breaks_and_nothing_is_left(hostile: Hostile, tmp_path: Path) -> None:
    found = checked(hostile, tmp_path, STUBBED)
    assert not found.wrong, (found.out[-2000:], hostile.files)


def test_there_are_enough_of_them() -> None:
    assert len([*no_programs(SEED), *odd_programs(), *odd_tensors()]) >= 500
