"""A seeded sample of the innocent edits: none of them changes what a report accuses.

`python -m benchmarks.innocent_edits` makes them in all programs.
"""

from __future__ import annotations

from functools import partial

import pytest

from benchmarks.innocent.trials import KEPT, EditTrial, edits_of
from benchmarks.innocent.units import Lines, marked
from benchmarks.innocent_edits import told
from benchmarks.planted.subjects import PROGRAMS, Subject
from benchmarks.planted.trials import Settings
from tests.support import in_child

SAMPLE = (
    "functions_tuple_cache.py", "inline_misnamed_hidden.py", "complex_phases_halved.py", "regression_closed_linear.py",
    "layernorm_right.py",
)  # fmt: skip
SETTINGS = Settings(per_kind=1, seed=2, baselines=False, fix_budget=0.0, share=4)


@pytest.mark.parametrize("program", SAMPLE)
def test_an_edit_that_keeps_the_values_keeps_the_verdicts(program: str) -> None:
    trials: list[EditTrial] = in_child(
        partial(edits_of, Subject(PROGRAMS / program), SETTINGS), timeout_s=240.0
    )
    counted = [trial for trial in trials if trial.fate == KEPT]
    assert len(counted) >= 3, "too few of the edits keep the values: the sample shows nothing"
    assert not [told(trial) for trial in counted if not trial.is_same]


def test_a_statement_keeps_its_mark_wherever_it_goes() -> None:
    module = marked("a = 1\nif a:\n    b = (\n        2\n    )\n", 1)
    code = module.code.replace("a = 1", "pass\na = 1")
    lines = Lines.read([code])
    assert lines.texts == ("pass\na = 1\nif a:\n    b = (\n        2\n    )\n",)
    assert lines.stands_for(1, 2, 2) == {(1, 1)}
    assert lines.stands_for(1, 4, 4) == {(1, 3)}
