"""What a replay lets go of comes back the same when somebody asks for it."""

from __future__ import annotations

import gc
import textwrap

import pytest
import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.judgement import judge_recording
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.compare import Fingerprints, copied, distance, inner, is_finite, norm
from gradcheck.replay.runner import Runner
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


def test_of_a_large_parameter_it_and_its_gradient_are_kept():
    program = LARGE_TABLE.replace("3000", "30000").format("dtable.index_add_(0, ix, demb)")
    run = record_source(program)
    judgement = judge_recording(run.recording, run.program.sources)
    large = {
        tensor.untyped_storage().data_ptr()
        for tensor in gc.get_objects()
        if type(tensor) is torch.Tensor and tensor.dtype is torch.float64
        if tensor.untyped_storage().nbytes() == 30000 * 50 * 8
    }
    # Not the buffer before it was filled, nor the gradient that was found beside the true one, which it is.
    assert len(large) == 2
    (row,) = [row for row in judgement.results[0].gradients if row.name == "dtable"]
    assert row.verdict is Verdict.CORRECT
    assert row.total_error is not None
    assert row.total_error < 1e-12
    assert row.mismatched == 0


def test_what_the_step_starts_from_is_there_once():
    step = textwrap.dedent(STEP)
    run = record_source(f"{NETWORK}{step}W -= lr * dW\n{step}")
    judged_pass = judge_recording(run.recording, run.program.sources).passes[-1]
    assert judged_pass.judge is not None
    replay, start = judged_pass.judge.run, judged_pass.judge.run.start_tensors()
    assert start
    assert all(replay.start_tensors()[value] is tensor for value, tensor in start.items())


def test_a_copy_of_one_number_is_that_number():
    buffer = torch.zeros(3, 2**20)
    kept = copied(buffer)
    buffer[1] = 1.0
    assert kept.untyped_storage().nbytes() < 100
    assert kept.shape == buffer.shape
    assert not kept.any()
    assert copied(buffer).equal(buffer)


def test_a_replaced_value_is_not_computed_first():
    run = record_source(f"{NETWORK}for step in range(9):{STEP}    W -= lr * dW\n    b -= lr * db\n")
    (judged_pass,) = judge_recording(run.recording, run.program.sources).passes
    op = next(op for op in judged_pass.plan.forward_ops if op.name in ("__matmul__", "matmul"))
    given = torch.ones(op.out.shape, dtype=torch.float64)
    runner = Runner(torch.float64, overrides={op.out: given})
    runner.step(op)
    assert runner.env.keys() == {op.out}
    assert runner.tensor(op.out).equal(given)
