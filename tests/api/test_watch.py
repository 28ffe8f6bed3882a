"""A watch records the code in its body as it is, and reports on it."""

from __future__ import annotations

import gc
import random
import sys
import textwrap
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

import gradcheck
from gradcheck.program.torch_settings import torch_as_imported
from gradcheck.report.model import Report
from tests.support import report_on_source

X, T = torch.randn(8, 4), torch.randn(8, 3)
W = torch.randn(4, 3)


def verdicts(report: Report) -> dict[str, str]:
    return {row.name: row.verdict.value for row in report.rows}


def line_with(text: str, function: object) -> int:
    code = function.__code__
    lines = Path(code.co_filename).read_text(encoding="utf-8").split("\n")
    return next(n for n, line in enumerate(lines, 1) if n > code.co_firstlineno and line.endswith(text))


def test_locals_and_globals_are_named():
    bias = torch.zeros(3)
    with gradcheck.watch() as watched:
        y = torch.tanh(X @ W + bias)
        loss = ((y - T) ** 2).sum()
        dy = 2 * (y - T)
        dz = dy * (1 - y)  # wrong here
        dW = X.T @ dz
        dbias = dz.sum(0)
    report = watched.report()
    assert verdicts(report) == {
        "dy": "correct", "dz": "introduced", "dW": "inherited", "dbias": "inherited"
    }  # fmt: skip
    assert {row.name: row.of for row in report.rows}["dbias"] == "bias"
    (finding,) = report.findings
    assert finding.location.line == line_with("# wrong here", test_locals_and_globals_are_named)
    assert finding.location.file == "tests/api/test_watch.py"
    assert report.excerpt(finding.location) is not None
    assert loss.item() > 0
    assert dW.shape == W.shape
    assert dbias.shape == bias.shape


def test_functions_the_body_calls_are_recorded():
    def backward(x, y, t):
        dy = y - t
        return x.T @ dy

    with gradcheck.watch() as watched:
        y = X @ W
        loss = ((y - T) ** 2).sum()
        dW = backward(X, y, T)
    assert verdicts(watched.report())["dy"] == "introduced"
    assert loss.ndim == 0
    assert dW.shape == W.shape


def test_a_buffer_made_before_is_a_gradient_when_it_is_filled():
    dW, db = torch.zeros(4, 3), torch.zeros(3)
    with gradcheck.watch() as watched:
        y = X @ W
        loss = (y**2).sum()
        dy = 2 * y
        dW += X.T @ dy * 2
    assert loss.ndim == 0
    assert db.sum() == 0
    assert verdicts(watched.report()) == {"dy": "correct", "dW": "introduced"}


def test_parameters_may_move_between_the_step_and_its_report():
    """The report is on the step as it was, whatever has happened to its tensors since."""
    weights = W.clone()
    with gradcheck.watch() as watched:
        y = X @ weights
        loss = (y**2).sum()
        dweights = X.T @ (2 * y)
    before = watched.report()
    weights.zero_()
    dweights.fill_(7)
    y.mul_(3)
    after = watched.report()
    assert loss.ndim == 0
    assert before.to_dict() == after.to_dict()
    assert verdicts(after)["dweights"] == "correct"


def test_an_exception_is_raised_and_what_was_done_until_then_counts():
    watched = gradcheck.watch()

    def step():
        with watched:
            y = X @ W
            loss = (y**2).sum()
            dy = 3 * y
            return y, loss, dy, 1 // 0

    with pytest.raises(ZeroDivisionError):
        step()
    report = watched.report()
    assert verdicts(report) == {"dy": "introduced"}
    assert report.program.ended == "exception"
    assert "ZeroDivisionError" in report.program.explanation


def test_the_body_runs_as_it_would_without(capsys):
    def body():
        torch.manual_seed(3)
        noise = torch.randn(8, 3)
        y = torch.dropout(X @ W + noise, 0.5, True)
        loss = (y**2).sum()
        print("loss", loss.item())
        dy = 2 * y
        return [noise, y, loss, dy, torch.rand(2), torch.get_rng_state()]

    bare = body()
    with gradcheck.watch() as watched:
        recorded = body()
    state = torch.get_rng_state()
    watched.report()
    assert all(torch.equal(a, b) for a, b in zip(bare, recorded, strict=True))
    assert torch.equal(state, torch.get_rng_state())
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_settings_around_the_report_do_not_reach_it_nor_it_them():
    with gradcheck.watch() as watched:
        y = X @ W
        loss = (y**2).sum()
        dy = 2 * y
        dW = X.T @ dy
    expected = watched.report().to_dict()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), torch.autograd.set_detect_anomaly(True):
            assert watched.report().to_dict() == expected
            assert not torch.is_grad_enabled()
            assert torch.is_anomaly_enabled()
        with torch.inference_mode():
            assert watched.report().to_dict() == expected
        assert torch.get_default_dtype() is torch.float64
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert watched.report().to_dict() == expected
    finally:
        torch.set_default_dtype(torch.float32)
    assert loss.ndim == 0
    assert dW.shape == W.shape


def test_a_watch_in_a_watch_is_refused():
    with gradcheck.watch() as outer:
        with pytest.raises(gradcheck.WatchError, match="inside of another one"), gradcheck.watch():
            pass
        with pytest.raises(gradcheck.WatchError, match="inside of another one"):
            gradcheck.check(lambda: None)
        y = X @ W
        loss = (y**2).sum()
        dy = 2 * y
    assert verdicts(outer.report()) == {"dy": "correct"}  # the outer one is none the worse
    assert loss.ndim == 0
    assert dy.shape == y.shape


def test_a_watch_is_used_once():
    watched = gradcheck.watch()
    with watched:
        pass
    with pytest.raises(gradcheck.WatchError, match="has been used"), watched:
        pass


def test_a_report_has_to_wait_for_the_end():
    watched = gradcheck.watch()
    with pytest.raises(gradcheck.WatchError, match="nothing was recorded"):
        watched.report()
    with watched, pytest.raises(gradcheck.WatchError, match="after the `with` block"):
        watched.report()


def test_nothing_to_report_on_is_told():
    with gradcheck.watch() as watched:
        X @ W
    with pytest.raises(gradcheck.NothingToCheckError, match="no manual gradient was found") as raised:
        watched.report()
    assert "--" not in str(raised.value)  # options of the command line help nobody here
    with gradcheck.watch() as empty:
        pass
    with pytest.raises(gradcheck.NothingToCheckError, match="no torch operation"):
        empty.report()


def test_rules_are_selected_and_checked():
    with gradcheck.watch() as watched:
        y = X @ W
        loss = (y**2).sum()
        dy = 3 * y
        dW = X.T @ dy
    assert {f.rule for f in watched.report().findings} == {"GC101"}
    assert not watched.report(select="GC104").findings
    assert not watched.report(ignore=["wrong-gradient"]).findings
    assert watched.report(fix_budget_s=0).findings[0].fix is None
    with pytest.raises(ValueError, match="there is no rule `GC901`"):
        watched.report(select="GC901")
    with pytest.raises(ValueError, match="seconds"):
        watched.report(fix_budget_s=-1)
    assert loss.ndim == 0
    assert dW.shape == W.shape


def train(steps: int, right: bool = True) -> float:
    torch.manual_seed(1)
    first, second = torch.randn(4, 5) * 0.1, torch.randn(5, 3) * 0.1
    for _ in range(steps):
        h = torch.tanh(X @ first)
        y = h @ second
        loss = ((y - T) ** 2).mean()
        dy = 2 * (y - T) / y.numel()
        dsecond = h.T @ dy
        dh = dy @ second.T
        dfirst = X.T @ (dh * (1 - (h**2 if right else h)))
        first -= 0.1 * dfirst
        second -= 0.1 * dsecond
    return loss.item()


@pytest.mark.parametrize("steps", [1, 2, 400])
@pytest.mark.parametrize("right", [True, False])
def test_of_many_steps_the_first_is_reported(steps, right):
    bare = train(steps, right)
    with gradcheck.watch() as watched:
        assert train(steps, right) == bare
    report = watched.report(select="GC1")
    assert len(report.passes) == 1
    assert len(report.findings) == (not right)
    assert [row.verdict.value for row in report.rows].count("correct") == 3 + right
    assert len(watched.recording.ops) < 6000  # bounded, though the body runs to its end
    if steps == 400:
        assert any("one is enough" in note for note in report.program.notes)


def test_microbatches_are_one_step():
    dW = torch.zeros(4, 3)
    weights = W.clone()
    with gradcheck.watch() as watched:
        total = 0.0
        for i in range(0, 8, 2):
            y = X[i : i + 2] @ weights
            loss = ((y - T[i : i + 2]) ** 2).sum() / 8
            total = total + loss
            dy = 2 * (y - T[i : i + 2]) / 8
            dW += X[i : i + 2].T @ dy
        weights -= 0.1 * dW
    report = watched.report(select="GC1")
    assert not report.findings
    assert "introduced" not in verdicts(report).values()


def test_a_debugger_gets_its_frames_back():
    seen = []

    def tracer(frame, event, arg):
        seen.append(event)
        return tracer

    frame = sys._getframe()
    before, local = sys.gettrace(), frame.f_trace
    sys.settrace(tracer)
    frame.f_trace = tracer
    try:
        with gradcheck.watch():
            X @ W
        assert sys.gettrace() is tracer
        assert frame.f_trace is tracer
    finally:
        sys.settrace(before)
        frame.f_trace = local
    assert seen


def test_what_was_watched_goes_with_the_watch():
    def inner():
        big = torch.randn(4, 3)
        with gradcheck.watch() as watched:
            y = X @ big
            loss = (y**2).sum()
            dy = 2 * y
        assert loss.ndim == dy.ndim - 2
        return watched, weakref.ref(big)

    watched, big = inner()
    watched.report()
    del watched
    gc.collect()
    assert big() is None


def test_in_a_program_that_gradcheck_runs_the_watch_stands_aside():
    report = report_on_source(
        """
        import torch, gradcheck
        x, W = torch.randn(8, 4), torch.randn(4, 3)
        with gradcheck.watch() as watched:
            y = x @ W
            loss = (y ** 2).sum()
            dy = 3 * y
            dW = x.T @ dy
        """
    )
    assert verdicts(report) == {"dy": "introduced", "dW": "inherited"}


def test_a_module_without_source_is_told_of(capsys):
    text = textwrap.dedent(
        """
        with gradcheck.watch() as watched:
            y = X @ W
            loss = (y ** 2).sum()
            dy = 3 * y
        """
    )
    names = {"gradcheck": gradcheck, "X": X, "W": W}
    exec(compile(text, "<made up>", "exec"), names)
    report = names["watched"].report()
    assert verdicts(report)["dy"] == "introduced"
    assert any("cannot be read" in note for note in report.program.notes)


def test_an_analysis_leaves_the_random_numbers_alone():
    def seed():
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)

    def draw():
        return torch.rand(2), np.random.rand(2), random.random()

    seed()
    expected = draw()
    seed()
    with torch_as_imported():
        draw()
    for after, before in zip(draw(), expected, strict=True):
        assert (after == before).all() if hasattr(after, "all") else after == before
