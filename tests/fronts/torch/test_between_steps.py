"""Between two recorded steps the recorder is out of torch's way, and what it recorded stays as it was."""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode

from gradcheck.fronts.torch.mode_stack import put_back, take_out
from tests.support import record_source, report_on_source


class Mode(TorchFunctionMode):
    pass


def stack() -> list[object]:
    return [torch._C._get_function_stack_at(i) for i in range(torch._C._len_torch_function_stack())]


def test_a_mode_is_taken_out_from_under_another():
    ours, theirs = Mode(), Mode()
    before = stack()
    with ours, theirs:
        place = take_out(ours)
        assert stack() == [*before, theirs]
        assert place == len(before)
        put_back(ours, place)
        assert stack() == [*before, ours, theirs]
    assert stack() == before


def test_it_goes_below_a_mode_that_came_in_the_meantime():
    ours, theirs = Mode(), Mode()
    before = stack()
    with ours:
        place = take_out(ours)
        assert place is not None
        with theirs:
            put_back(ours, place)
            assert stack() == [*before, ours, theirs]
        assert stack() == [*before, ours]


def test_a_mode_that_is_not_there():
    assert take_out(Mode()) is None


PROGRAM = """
import torch
torch.manual_seed(0)
x = torch.randn(8, 3)
y = torch.randn(8, 1)
W = torch.randn(3, 1)
offset = torch.zeros(1)
seen = []
with torch.device("cpu"):
    for step in range(40):
        e = x @ W + offset - y
        loss = (e ** 2).mean()
        de = 2 * e / e.numel()
        dW = x.T @ de
        W -= 0.05 * dW
        offset += 0.01
        x[0] = 0.5
        seen.append(loss.item())
        made = torch.ones(2)
print(round(seen[-1], 6))
"""


def test_the_steps_far_apart_are_right_whatever_changes_in_between():
    report = report_on_source(PROGRAM, at=(0, 10, 39))
    assert [p.iteration for p in report.passes] == [0, 10, 39]
    assert {g.verdict for g in report.rows} == {"correct"}
    losses = [p.loss_value for p in report.passes]
    assert losses == sorted(losses, reverse=True)


def test_nothing_is_recorded_in_between():
    far, near = (record_source(PROGRAM, at=at) for at in ((0, 39), (0,)))
    steps = [m.when for m in far.recording.marks if m.what in ("step", "step-end")]
    alone = [m.when for m in near.recording.marks if m.what in ("step", "step-end")]
    assert steps[1] - steps[0] == alone[1] - alone[0]
    assert steps[3] - steps[2] == alone[1] - alone[0]
    assert steps[2] == steps[1]


def test_a_large_tensor_that_changes_in_between_is_not_checked_with_other_numbers():
    text = """
        import torch
        torch.manual_seed(0)
        x = torch.randn(2050, 2050)
        W = torch.randn(2050, 1) * 0.01
        for step in range(5):
            e = x @ W
            loss = (e ** 2).mean()
            de = 2 * e / e.numel()
            dW = x.T @ de
            W = W - 0.01 * dW
            if step == 1:
                x.mul_(2.0)
    """
    report = report_on_source(text, at=(0, 4))
    assert any("changed between the recorded iterations" in note for note in report.program.notes)
    first = [g for g in report.rows if g.pass_index == 0 and g.name == "dW"]
    assert not [g for g in first if g.verdict in ("introduced", "inherited")]


def test_what_changes_only_in_between_is_kept_as_the_recorded_step_read_it():
    text = """
        import torch
        torch.manual_seed(0)
        x, y, W = torch.randn(8, 3), torch.randn(8, 1), torch.randn(3, 1)
        scale = torch.ones(1)
        for step in range(12):
            e = (x @ W) * scale - y
            loss = (e ** 2).mean()
            de = 2 * e / e.numel()
            dW = x.T @ (de * scale)
            W -= 0.01 * dW
            if step == 5:
                scale.mul_(3.0)
    """
    alone, beside_a_later_one = (report_on_source(text, at=at) for at in ((0,), (0, 10)))
    assert beside_a_later_one.passes[0].loss_value == alone.passes[0].loss_value
