"""Gradient descent, and how its learning rate changes over a training run."""

import math
from collections.abc import Callable, Iterable

from torch import Tensor

Schedule = Callable[[int], float]
"""From the number of a step, counted from 0, to the learning rate of that step."""


class SGD:
    """parameter -= learning rate * gradient."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def update(self, parameters: Iterable[tuple[Tensor, Tensor]], step: int) -> None:
        """Change each parameter in place; parameters: pairs of a parameter and its gradient, of one shape."""
        rate = self.schedule(step)
        for parameter, gradient in parameters:
            parameter.sub_(gradient, alpha=rate)


def constant(rate: float) -> Schedule:
    """The same rate throughout."""
    return lambda step: rate


def step_down(rate: float, steps: int) -> Schedule:
    """The rate for the first half of the run, a tenth of it for the second."""
    return lambda step: rate if 2 * step < steps else rate / 10


def cosine(rate: float, steps: int) -> Schedule:
    """From the rate to 0 along half a cosine wave (Loshchilov and Hutter 2017, equation 5, without restarts)."""
    return lambda step: rate * (1 + math.cos(math.pi * min(step / steps, 1))) / 2


def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """Reach the schedule's rate in equal increments over the first steps of the run (Goyal et al. 2017)."""
    return lambda step: schedule(step) * min((step + 1) / steps, 1)


def make_schedule(name: str, rate: float, steps: int) -> Schedule:
    """The schedule of that name for a run of that many steps, as the command line names them."""
    schedules: dict[str, Schedule] = {
        "constant": constant(rate),
        "step": step_down(rate, steps),
        "cosine": cosine(rate, steps),
        "warm-up": warm_up(cosine(rate, steps), steps=max(steps // 20, 1)),
    }
    return schedules[name]


SCHEDULES = ("constant", "step", "cosine", "warm-up")
