"""The line is right for another upstream gradient: that of a value further down, or of another layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.diagnosis.explanations.wording import gradient, is_named, line, name
from gradcheck.recording.tape import Value
from gradcheck.replay.compare import distance
from gradcheck.replay.passes import Version

_MOST_GRADIENTS = 40


def of_manual_gradients(case: Case) -> Iterator[Hypothesis]:
    """One manual gradient where another one belongs."""
    for value, version in _exchanges(case):
        right = case.manual_gradient_of(value)
        if right is not None:
            yield Hypothesis(
                "wrong-upstream",
                _exchanged(value, version),
                lambda version=version, right=right: _instead_of(case, version, right.version),  # type: ignore[misc]
                {"used": version.candidate.name, "instead_of": right.candidate.name},
            )


def _instead_of(case: Case, used: Version, right: Version) -> str:
    if used.candidate is right.candidate:
        return f"this is what you get from {gradient(case, used)}"
    return f"this is what you get from {gradient(case, used, right)} instead of {gradient(case, right, used)}"


def of_skipped_steps(case: Case) -> Iterator[Hypothesis]:
    """A manual gradient taken for that of a value further up, for which no gradient is computed: the steps between
    the two are left out."""
    for value, version in _exchanges(case):
        if case.manual_gradient_of(value) is None:
            yield Hypothesis(
                "skipped-step",
                _exchanged(value, version),
                lambda value=value, version=version: _skipped(case, value, version),  # type: ignore[misc]
                {
                    "used": version.candidate.name,
                    "instead_of": None,
                    "value": case.judgement.names.shown(value),
                },
            )


def _exchanges(case: Case) -> Iterator[tuple[Value, Version]]:
    scene = case.first
    if not scene.fits:
        return
    read = [judged.version for judged in case.read]
    versions = [*read, *(v for v in case.earlier if not any(v is r for r in read))][:_MOST_GRADIENTS]
    places = [*case.segment.values, case.at]
    places.sort(key=lambda v: (case.manual_gradient_of(v) is None, not is_named(case, v)))
    for version in versions:
        given = scene.captured(version)
        if given is None:
            continue
        for value in places:
            right = scene.gradients.get(value)
            if right is not None and right.shape == given.shape and distance(right, given) > scene.tolerance:
                yield value, version


def _exchanged(value: Value, version: Version) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        given, right = scene.captured(version), scene.gradients.get(value)
        if given is None or right is None:
            return None
        return scene.instead(value, right, given)

    return predict


def _skipped(case: Case, value: Value, version: Version) -> str:
    of = next((j.of for j in case.judge.judged if j.version is version), None)
    used = gradient(case, version, case.judged.version)
    if of is None or of not in case.segment.values:
        return f"this is what you get from {used} in the place of the gradient of {name(case, value)}"
    producer = of.producer
    where = f" ({line(case, producer)})" if producer is not None else ""
    steps = f"the step from {name(case, value)} to {name(case, of)}{where} is left out"
    if value is case.at:
        return f"it is {used} unchanged: {steps}"
    return f"{steps}: {used} stands for the gradient of {name(case, value)}"
