"""The line is right for another upstream gradient: that of a value further down, or of another layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.reads import Read, as_read, reads_of
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.diagnosis.explanations.wording import gradient, is_named, line, name
from gradcheck.fronts.tape import Value
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
    taken, needed = gradient(case, used, right), gradient(case, right, used)
    if taken == needed:  # one line of a loop computed both
        turn = "an earlier" if used.after < right.after else "a later"
        return f"this is what you get from the `{used.candidate.name}` of {turn} turn of the loop instead of this one's"
    return f"this is what you get from {taken} instead of {needed}"


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


def of_read_values(case: Case) -> Iterator[Hypothesis]:
    """Something else that the line reads, in the place of the right gradient: that of an earlier backward pass, say."""
    if not case.first.fits:
        return
    forward = case.plan.forward_values
    for read in reads_of(case):
        given = as_read(case, case.first, read) if read.value not in forward else None
        if given is None or not given.is_floating_point():
            continue
        for value in case.segment.values:
            right = case.first.gradients.get(value)
            manual = case.manual_gradient_of(value)
            if right is None or manual is None or right.shape != given.shape:
                continue
            yield Hypothesis(
                "wrong-upstream",
                _exchanged_for_read(case, value, read),
                lambda read=read, manual=manual: (  # type: ignore[misc]
                    f"this is what you get from {_origin(case, read)} instead of {gradient(case, manual.version)}"
                ),
                {"used": case.judgement.names.shown(read.value), "instead_of": manual.candidate.name},
            )


def _origin(case: Case, read: Read) -> str:
    producer = read.value.producer
    if producer is None or producer.index > case.plan.loss_op.index:
        return name(case, read.value)
    return f"{name(case, read.value)} of {line(case, producer)}, which is older than this backward pass,"


def _exchanged_for_read(case: Case, value: Value, read: Read) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        given, right = as_read(case, scene, read), scene.gradients.get(value)
        if given is None or right is None:
            return None
        return scene.instead(value, right, given)

    return predict


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


def of_seeds(case: Case) -> Iterator[Hypothesis]:
    """The right upstream gradient, but not used, divided by, or transposed."""
    if not case.first.fits:
        return
    for value in case.segment.values:
        right = case.manual_gradient_of(value)
        if right is None:
            continue
        shown, of = gradient(case, right.version), name(case, value)
        yield Hypothesis(
            "missing-upstream",
            _reseeded(value, torch.ones_like),
            lambda shown=shown, of=of: (  # type: ignore[misc]
                f"it is the derivative alone: it is not multiplied with {shown}, the gradient of {of}"
            ),
            {"upstream": right.candidate.name},
        )
        yield Hypothesis(
            "inverted-factor",
            _reseeded(value, torch.reciprocal),
            lambda shown=shown, of=of: (  # type: ignore[misc]
                f"it is divided by {shown}, the gradient of {of}, where it should be multiplied with it"
            ),
            {"upstream": right.candidate.name},
        )
        if len(value.shape) == 2 and value.shape[0] == value.shape[1]:
            yield Hypothesis(
                "transposed-operand",
                _reseeded(value, lambda given: given.T),
                lambda shown=shown: f"{shown} is transposed once too often or too little",  # type: ignore[misc]
                {"operand": right.candidate.name},
            )


def _reseeded(
    value: Value, change: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        right = scene.gradients.get(value)
        return scene.instead(value, right, change(right)) if right is not None else None

    return predict
