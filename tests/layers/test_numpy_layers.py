"""Layers of NumPy: right ones pass on every shape, wrong ones are found at their line."""

from __future__ import annotations

import pytest

import gradcheck
from gradcheck.layers.definitions import layers_of
from tests.layers import numpy_right

RIGHT = [*layers_of(numpy_right)]


@pytest.mark.parametrize(("name", "layer"), RIGHT, ids=[name for name, _ in RIGHT])
def test_right_layers_pass(name, layer):
    report = gradcheck.check_layer(layer, fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)
    assert not report.failures
    assert report.summary["passed"] >= 5, str(report)
