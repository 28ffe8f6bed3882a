"""What a replay lets go of comes back the same when somebody asks for it."""

from __future__ import annotations

import torch

from gradcheck.judge.judgement import judge_recording
from tests.fronts.torch.test_steps import NETWORK, STEP
from tests.support import record_source


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
