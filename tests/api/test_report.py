"""What can be done with a report in Python."""

from __future__ import annotations

import pytest
import torch

import gradcheck
from gradcheck.report.model import Report
from tests.report import samples


def test_gradients_are_a_dataframe():
    report = samples.faulty()
    frame = report.gradients
    assert len(frame) == len(report.rows)
    assert frame[frame.verdict == "introduced"]["name"].tolist() == ["d_A_1", "d_Z_1"]


def test_errors_are_raised_with_the_persons_line_and_a_caret():
    with pytest.raises(gradcheck.GradientError) as raised:
        samples.faulty().raise_for_errors()
    told = str(raised.value)
    assert told.startswith("day70.ipynb: 6 gradients: 2 introduced")
    assert "error[GC101]: `d_A_1` is not the gradient of `A_1`" in told
    assert "d_A_1 = d_Z_2 @ W_2.T" in told
    assert "^^^^" in told
    assert "GC109" not in told  # a warning, or a note


def test_a_report_without_errors_raises_nothing():
    samples.clean().raise_for_errors()


def test_a_watched_report_survives_its_json():
    X, W = torch.randn(8, 4), torch.randn(4, 3)
    with gradcheck.watch() as watched:
        y = X @ W
        loss = (y**2).sum()
        dy = 3 * y
    report = watched.report()
    again = Report.from_dict(report.to_dict())
    assert again.to_dict() == report.to_dict()
    assert again.watched
    assert not samples.faulty().watched
    assert loss.ndim == 0
    assert dy.shape == y.shape
    text = report.to_markdown()
    assert "1 verified fix, shown with its finding." in text
    assert "gradcheck fix" not in text  # no command can run a part of a program
