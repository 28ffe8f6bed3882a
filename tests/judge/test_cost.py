"""What judging a right step costs, in counts: replays, ops, tensors that are kept."""

from __future__ import annotations

import pytest
import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.judgement import JudgedPass, judge_recording
from gradcheck.judge.step.follow import follow_step
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import LARGE, Runner
from tests.fronts.torch.test_steps import NETWORK, STEP
from tests.support import record_source

RIGHT = f"{NETWORK}for step in range(9):{STEP}    W -= lr * dW\n    b -= lr * db\n"
WRONG = RIGHT.replace("W -= lr", "dW = 2 * dW\n    W -= lr")


def judged(source: str, monkeypatch: pytest.MonkeyPatch) -> tuple[JudgedPass, list[torch.dtype]]:
    """The pass, and the types of the replays that it took."""
    replays: list[torch.dtype] = []
    replayed = PassRun._there.func

    def counted(run: PassRun) -> object:
        replays.append(run._dtype)
        return replayed(run)

    monkeypatch.setattr(PassRun._there, "func", counted)
    run = record_source(source)
    (found,) = judge_recording(run.recording, run.program.sources).passes
    return found, replays


def test_a_right_step_is_replayed_at_each_point_once_and_in_float32_once(monkeypatch: pytest.MonkeyPatch):
    found, replays = judged(RIGHT, monkeypatch)
    assert {row.verdict for row in found.result.gradients} == {Verdict.CORRECT}
    assert replays.count(torch.float32) == 1
    assert replays.count(torch.float64) == 1 + len(found.points) == 3


def test_at_no_point_a_plain_fault_is_compared_with_rounding(monkeypatch: pytest.MonkeyPatch):
    found, replays = judged(WRONG, monkeypatch)
    assert Verdict.INTRODUCED in {row.verdict for row in found.result.gradients}
    assert len(found.points) == 2
    assert replays.count(torch.float32) == 1


def test_where_no_stricter_way_to_blame_says_anything_else_two_faults_are_judged_once(
    monkeypatch: pytest.MonkeyPatch,
):
    found, replays = judged(WRONG.replace("b -= lr", "db = 3 * db\n    b -= lr"), monkeypatch)
    assert sum(row.verdict is Verdict.INTRODUCED for row in found.result.gradients) == 2
    assert replays.count(torch.float32) == 1


def test_of_the_points_nothing_is_kept(monkeypatch: pytest.MonkeyPatch):
    found, _ = judged(RIGHT, monkeypatch)
    for point in found.points:
        assert {"_there", "_forward"}.isdisjoint(vars(point.run))
        assert "_drawn" not in vars(point.overrides)
        drawn = dict(point.overrides)
        point.release()
        assert all(point.overrides[value].equal(tensor) for value, tensor in drawn.items())


def test_the_moves_of_parameters_are_replayed_without_the_step_before(monkeypatch: pytest.MonkeyPatch):
    found, _ = judged(RIGHT, monkeypatch)
    names: list[str] = []
    step = Runner._step_or_break
    monkeypatch.setattr(Runner, "_step_or_break", lambda run, op: (names.append(op.name), step(run, op))[1])
    assert found.judge is not None
    updates = follow_step(found.judge).updates
    assert [update.movement.value for update in updates] == ["descends", "descends"]
    assert set(names) == {"mul", "sub_"}


def test_large_data_are_converted_once_and_not_written_to():
    data = torch.zeros(LARGE + 1)
    value = Value(None, 0, tuple(data.shape))
    value.data = data
    one, other = Runner(torch.float64), Runner(torch.float64)
    assert one.tensor(value).data_ptr() == other.tensor(value).data_ptr()
    one.writable(value).add_(1)
    assert not other.tensor(value).any()
    assert not data.any()
