"""What the usual checks say of the same changed programs.

Both look at the parameters' gradients alone, as a person would who uses them, and both are given what a person
would have to set up by hand: which manual gradient belongs to which parameter. `allclose` compares each with
autograd's in the program's float32, at its default tolerances. `gradcheck` gets the step as a function of the
parameters whose backward pass returns the manual gradients (both replayed in float64), in its fast mode.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.planted.equivalence import Place, places_of
from benchmarks.planted.sites import parameters_of
from gradcheck.fronts.tape import Recording, Value
from gradcheck.judge.judge import Judge
from gradcheck.replay.passes import Version
from gradcheck.replay.run import PassOps, PassRun

Owner = tuple[Place, str, int]  # a parameter, the name of its gradient, and which of that name it is


def owners_of(recording: Recording, judge: Judge) -> list[Owner]:
    """Which manual gradient belongs to which parameter, in the right program."""
    parameters = parameters_of(judge)
    places = places_of(recording, parameters)
    found = []
    for value, judged in parameters.items():
        if judged.scale is None and value in places:
            alike = [c for c in judge.plan.candidates if c.name == judged.candidate.name]
            found.append((places[value], judged.candidate.name, alike.index(judged.candidate)))
    return found


class Baselines:
    """The baselines on one pass of one program, right or wrong."""

    def __init__(self, recording: Recording, judge: Judge, owners: Sequence[Owner], right: Judge) -> None:
        self._judge = judge
        self._prepared = PassOps(judge.plan)
        self._right = right
        self._pairs: list[tuple[Value, Value, Version | None]] = []
        here, there = _values(recording, judge), _values(recording, right)
        for place, name, number in owners:
            alike = [c for c in judge.plan.candidates if c.name == name]
            version = alike[number].versions[-1] if number < len(alike) else None
            if place in here and place in there:
                self._pairs.append((here[place], there[place], version))

    def allclose(self) -> bool | None:
        """Whether it finds fault; None if there is nothing for it to compare."""
        run, right = self._judge.coarse, self._right.coarse
        if run is None or right is None or not self._pairs:
            return None
        for _, value, version in self._pairs:
            found = run.captured.get(id(version))
            if found is None:
                return True
            try:
                if not torch.allclose(found.float(), right.graph.truth[value]):
                    return True
            except RuntimeError:  # shapes that do not broadcast
                return True
        return False

    def gradcheck(self) -> bool | None:
        """Whether it finds fault; None if the step cannot be put to it as a function of the parameters."""
        if not self._pairs:
            return None
        if any(version is None for _, _, version in self._pairs):
            return True
        values = [value for value, _, _ in self._pairs]
        versions = [version for _, _, version in self._pairs if version is not None]
        parameters = [self._judge.run.graph.tensor(v).detach().clone().requires_grad_() for v in values]
        function = _function_of(self._prepared, values, versions)
        torch.manual_seed(0)
        # Once the fast mode has failed, the slow one is run to word the message: it takes minutes.
        sys.modules["torch.autograd.gradcheck"]._run_slow_mode_and_get_error = lambda *_, **__: ""  # type: ignore[attr-defined]
        try:
            return not torch.autograd.gradcheck(
                function, tuple(parameters), fast_mode=True, check_undefined_grad=False, nondet_tol=1e-12
            )
        except Exception:  # GradcheckError, or a gradient of the wrong shape
            return True


def _values(recording: Recording, judge: Judge) -> dict[Place, Value]:
    return {place: value for value, place in places_of(recording, judge.run.graph.values).items()}


def _function_of(prepared: PassOps, values: list[Value], versions: list[Version]) -> Any:
    def run_at(parameters: Sequence[torch.Tensor]) -> PassRun:
        overrides = dict(zip(values, (p.detach() for p in parameters), strict=True))
        return PassRun(prepared, torch.float64, overrides)

    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *parameters: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(*parameters)
            return run_at(parameters).graph.loss_tensor.detach().sum()

        @staticmethod
        def backward(ctx: Any, *upstream: torch.Tensor) -> Any:
            run = run_at(ctx.saved_tensors)
            return tuple(upstream[0] * run.captured[id(version)] for version in versions)

    return Step.apply
