"""The person's word on what a gradient is of goes before what names and numbers say."""

from __future__ import annotations

import torch

import gradcheck
from tests.support import report_on_source

X, W = torch.randn(8, 4), torch.randn(4, 3)


def rows(report):
    return [(row.name, row.of, row.verdict.value) for row in report.rows]


def test_a_gradient_whose_name_says_nothing_is_judged_if_it_is_paired():
    def step(paired):
        with gradcheck.watch() as watched:
            y = X @ W
            loss = (y**2).sum()
            dy = 2 * y
            u = X.T @ dy * 3
            if paired:
                assert gradcheck.pair(W, u) is None
        assert loss.ndim == 0
        return rows(watched.report())

    assert step(False) == [("dy", "y", "correct")]
    assert step(True) == [("dy", "y", "correct"), ("u", "W", "introduced")]


def test_it_may_be_said_after_the_step():
    with gradcheck.watch() as watched:
        y = X @ W
        loss = (y**2).sum()
        u = X.T @ y
    gradcheck.pair(W, u)
    assert rows(watched.report()) == [("u", "W", "introduced")]
    assert loss.ndim == 0


def test_it_settles_between_values_that_have_the_same_gradient_here():
    """At gamma = 1 the gradients of x and of x * gamma are the same; only one of them is meant."""
    gamma = torch.ones(4)

    def report(paired):
        with gradcheck.watch() as watched:
            z = X * gamma
            loss = (z**2).sum()
            dz = 2 * z
            dgamma = (dz * X).sum(0)
            u = dz * 1
            if paired:
                gradcheck.pair(X, u)
        assert loss.ndim == 0
        assert dgamma.shape == gamma.shape
        return watched.report()

    assert not report(False).findings
    assert [finding.rule for finding in report(True).findings] == ["GC102"]


def test_where_nothing_is_recorded_it_does_nothing():
    assert gradcheck.pair(X, W) is None
    assert gradcheck.pair(None, "no tensor") is None


def test_what_took_no_part_is_told():
    elsewhere = frozenset([torch.zeros(3)])  # where nobody looks for tensors
    with gradcheck.watch() as watched:
        y = X @ W
        loss = (y**2).sum()
        dy = 2 * y
        gradcheck.pair(next(iter(elsewhere)), dy)
        gradcheck.pair(y, None)
    notes = watched.report().program.notes
    assert "gradcheck.pair: the forward tensor took no part in what was recorded" in notes
    assert "gradcheck.pair: the gradient took no part in what was recorded" in notes
    assert loss.ndim == 0


def test_a_script_that_gradcheck_runs_can_say_it():
    report = report_on_source(
        """
        import torch, gradcheck
        x, W = torch.randn(8, 4), torch.randn(4, 3)
        for step in range(3):
            y = x @ W
            loss = (y ** 2).sum()
            dy = 2 * y
            u = x.T @ dy * 3
            gradcheck.pair(W, u)
            W -= 0.01 * dy.mean() * torch.ones(4, 3)
        """
    )
    assert ("u", "W", "introduced") in rows(report)
