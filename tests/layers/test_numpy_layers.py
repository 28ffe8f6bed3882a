"""Layers of NumPy: right ones pass on every shape, wrong ones are found at their line."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import gradcheck
from gradcheck.layers.definitions import layers_of
from tests.layers import numpy_right, numpy_wrong

RIGHT = dict(layers_of(numpy_right))
HERE = Path(numpy_wrong.__file__)


def wrong_ones():
    """Classes and functions of numpy_wrong.py; what is only a backward pass goes with the forward pass of the right one."""
    for name, thing in vars(numpy_wrong).items():
        if getattr(thing, "__module__", None) != numpy_wrong.__name__:
            continue
        if name.endswith("_backward"):
            forward = name.removesuffix("_gamma_backward").removesuffix("_backward")
            known = vars(numpy_right)
            yield name, (known.get(f"{forward}_forward", known.get(forward)), thing)
        else:
            yield name, thing


WRONG = dict(wrong_ones())
SMALL = {"conv": ["2,2,4,4", "3,2,2,2", "3"]}  # every place by itself: thousands of operations


@pytest.mark.parametrize("name", RIGHT)
def test_right_layers_pass(name):
    inputs = SMALL.get(name.partition("_")[0], [])
    report = gradcheck.check_layer(RIGHT[name], inputs=inputs, fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)
    assert not report.failures
    assert report.summary["passed"] >= 5, str(report)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_layers_are_found_at_their_line(name):
    layer = WRONG[name]
    inputs = SMALL.get(name.partition("_")[0], [])
    report = gradcheck.check_layer(
        layer, inputs=inputs, ranks=[4] if "pool" in name else [], fix_budget_s=0.0
    )
    assert report.exit_status == 1, str(report)
    lines = HERE.read_text().splitlines()
    source, first = inspect.getsourcelines(layer[1] if isinstance(layer, tuple) else layer)
    planted = [first + n for n, line in enumerate(source) if line.endswith("# wrong\n")]
    told = {failure.report.findings[0].location.line for failure in report.failures if failure.report}
    assert told == set(planted), (
        f"{sorted(told)} and not {planted} ({lines[planted[0] - 1].strip()})\n{report}"
    )
