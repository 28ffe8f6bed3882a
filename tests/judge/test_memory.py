"""What a replay lets go of comes back the same when somebody asks for it."""

from __future__ import annotations

import pytest
import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.judgement import judge_recording
from gradcheck.replay.compare import Fingerprints, distance, inner, is_finite, norm
from tests.fronts.torch.test_steps import NETWORK, STEP
from tests.support import record_source, report_on_source


def test_a_released_probe_point_is_replayed_again():
    run = record_source(f"{NETWORK}for step in range(9):{STEP}    W -= lr * dW\n    b -= lr * db\n")
    (judged_pass,) = judge_recording(run.recording, run.program.sources).passes
    for point in judged_pass.points:
        captured = {key: tensor.clone() for key, tensor in point.run.captured.items()}
        truth = {value: tensor.clone() for value, tensor in point.judging.run.graph.truth.items()}
        point.release()
        assert captured.keys() == point.run.captured.keys()
        assert all(point.run.captured[key].equal(tensor) for key, tensor in captured.items())
        assert all(point.judging.run.graph.truth[value].equal(tensor) for value, tensor in truth.items())
    assert judged_pass.points


def test_a_coarse_run_keeps_its_gradients_and_not_its_graph():
    run = record_source(f"{NETWORK}for step in range(9):{STEP}    W -= lr * dW\n    b -= lr * db\n")
    (judged_pass,) = judge_recording(run.recording, run.program.sources).passes
    judge = judged_pass.judge
    assert judge is not None
    assert judge.coarse is not None
    assert not list(judge.coarse.graph.computed())
    assert judge.coarse.graph.truth.keys() == judge.run.graph.truth.keys()
    assert all(tensor.dtype is torch.float32 for tensor in judge.coarse.graph.truth.values())


LARGE_TABLE = """
import torch
torch.manual_seed(0)
table, W = torch.randn(3000, 50), torch.randn(50, 4)
ix, wanted = torch.randint(0, 3000, (20,)), torch.randn(20, 4)
ix[1] = ix[0]
for step in range(9):
    emb = table[ix]
    out = emb @ W
    loss = ((out - wanted) ** 2).sum()
    dout = 2 * (out - wanted)
    dW = emb.T @ dout
    demb = dout @ W.T
    dtable = torch.zeros_like(table)
    {}
    W -= 0.01 * dW
    table -= 0.01 * dtable
"""


def test_what_little_is_read_of_a_large_parameter_has_its_gradient():
    for line, verdict in (("dtable.index_add_(0, ix, demb)", "correct"), ("dtable[ix] = demb", "introduced")):
        report = report_on_source(LARGE_TABLE.format(line), fix_budget_s=0.0)
        (row,) = [row for row in report.passes[0].gradients if row.name == "dtable"]
        assert row.verdict == verdict


def test_a_large_tensor_is_compared_piece_by_piece():
    count = 3 * 2**20 + 5
    left = torch.linspace(-1, 1, count)
    right = left.double() + torch.linspace(0, 1e-3, count, dtype=torch.float64)
    assert norm(left) == pytest.approx(float(left.double().norm()), rel=1e-12)
    assert distance(left, right) == pytest.approx(float((left.double() - right).norm()), rel=1e-12)
    assert inner(left, right) == pytest.approx(float(left.double() @ right), rel=1e-12)
    assert is_finite(left)
    left[-1] = float("nan")
    assert not is_finite(left)
    key = Value(None, 0, (count,))
    assert Fingerprints({key: right}).equals(right.clone(), 0.0) == [key]
    assert Fingerprints({key: right}).equals(right * 1.001, 1e-9) == []
