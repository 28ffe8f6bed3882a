"""The learning rate over a run, and the update."""

import pytest
import torch

from models.optim import SCHEDULES, SGD, constant, cosine, make_schedule, step_down, warm_up


def test_constant() -> None:
    assert [constant(0.1)(step) for step in (0, 10**6)] == [0.1, 0.1]


def test_step_down_drops_at_half_time() -> None:
    assert [step_down(1.0, 10)(step) for step in (0, 4, 5, 9)] == [1.0, 1.0, 0.1, 0.1]


def test_cosine_falls_from_the_rate_to_zero() -> None:
    schedule = cosine(1.0, 100)
    assert [schedule(step) for step in (0, 50, 100, 1000)] == pytest.approx([1, 0.5, 0, 0])
    rates = [schedule(step) for step in range(101)]
    assert rates == sorted(rates, reverse=True)


def test_warm_up_rises_in_equal_increments_to_the_schedule() -> None:
    schedule = warm_up(constant(1.0), 4)
    assert [schedule(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 7, 1000])
def test_every_schedule_stays_between_zero_and_its_rate(name: str, steps: int) -> None:
    schedule = make_schedule(name, 0.3, steps)
    assert all(0 <= schedule(step) <= 0.3 for step in range(steps))
    assert max(schedule(step) for step in range(steps)) > 0.25


def test_update_changes_the_very_tensor_by_the_rate_of_the_step() -> None:
    parameter, gradient = torch.tensor([1.0, 2.0]), torch.tensor([10.0, -10.0])
    SGD(lambda step: 0.1 * step).update([(parameter, gradient)], step=2)
    torch.testing.assert_close(parameter, torch.tensor([-1.0, 4.0]))
