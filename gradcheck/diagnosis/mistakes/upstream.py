"""The upstream gradient is another one: that of a value further down, an older one, one not multiplied with."""

from collections.abc import Iterator

import torch

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction
from gradcheck.diagnosis.mistakes.predicting import with_upstream
from gradcheck.diagnosis.mistakes.reads import Read, as_read, reads_of
from gradcheck.diagnosis.mistakes.transposed import is_square
from gradcheck.diagnosis.mistakes.wording import gradient, line, name
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import distance
from gradcheck.replay.passes import Version

_MOST_GRADIENTS = 40


def _another_gradient(case: Case) -> Iterator[Prediction]:
    """One manual gradient where another one belongs. Its edit is that of a wrong name."""
    for value, version in _exchanges(case):
        right = case.manual_gradient_of(value)
        if right is not None:
            yield Prediction(
                "wrong-upstream",
                with_upstream(value, lambda scene, _, v=version: scene.captured(v)),  # type: ignore[misc]
                lambda version=version, right=right: _instead_of(case, version, right.version),  # type: ignore[misc]
                evidence={"used": version.candidate.name, "instead_of": right.candidate.name},
            )


def _instead_of(case: Case, used: Version, right: Version) -> str:
    if used.candidate is right.candidate:
        return f"this is what you get from {gradient(case, used)}"
    taken, needed = gradient(case, used, right), gradient(case, right, used)
    if taken == needed:  # one line of a loop computed both
        turn = "an earlier" if used.after < right.after else "a later"
        return f"this is what you get from the `{used.candidate.name}` of {turn} turn of the loop instead of this one's"
    return f"this is what you get from {taken} instead of {needed}"


def _skipped_step(case: Case) -> Iterator[Prediction]:
    """A manual gradient taken for that of a value further up, for which no gradient is computed: the steps between
    the two are left out."""
    for value, version in _exchanges(case):
        if case.manual_gradient_of(value) is None:
            yield Prediction(
                "skipped-step",
                with_upstream(value, lambda scene, _, v=version: scene.captured(v)),  # type: ignore[misc]
                lambda value=value, version=version: _skipped(case, value, version),  # type: ignore[misc]
                evidence={"used": version.candidate.name, "instead_of": None, "value": value},
            )


def _skipped(case: Case, value: Value, version: Version) -> str:
    of = case.value_of(version)
    used = gradient(case, version, case.judged.version)
    if of is None or of not in case.segment.values:
        return f"this is what you get from {used} in the place of the gradient of {name(case, value)}"
    where = f" ({line(case, of.producer)})" if of.producer is not None else ""
    steps = f"the step from {name(case, value)} to {name(case, of)}{where} is left out"
    if value is case.at:
        return f"it is {used} unchanged: {steps}"
    return f"{steps}: {used} is used as the gradient of {name(case, value)}"


def _exchanges(case: Case) -> Iterator[tuple[Value, Version]]:
    scene = case.first
    if not scene.fits:
        return
    read = [judged.version for judged in case.read]
    versions = [*read, *(v for v in case.earlier if not any(v is r for r in read))]
    places = [*case.segment.values, case.at]
    places.sort(key=lambda v: (case.manual_gradient_of(v) is None, not case.is_named(v)))
    for version in versions[:_MOST_GRADIENTS]:
        given = scene.captured(version)
        if given is None:
            continue
        for value in places:
            right = scene.gradients.get(value)
            if right is not None and right.shape == given.shape and distance(right, given) > scene.tolerance:
                yield value, version


def _value_read(case: Case) -> Iterator[Prediction]:
    """Something else that the line reads, in the place of the right gradient: that of an earlier backward pass, say."""
    for read in reads_of(case) if case.first.fits else ():
        given = as_read(case, case.first, read) if read.value not in case.plan.forward_values else None
        if given is None or not given.is_floating_point():
            continue
        for value in case.segment.values:
            right, manual = case.first.gradients.get(value), case.manual_gradient_of(value)
            if right is not None and manual is not None and right.shape == given.shape:
                yield Prediction(
                    "wrong-upstream",
                    with_upstream(value, lambda scene, _, read=read: as_read(case, scene, read)),  # type: ignore[misc]
                    lambda read=read, manual=manual: (  # type: ignore[misc]
                        f"this is what you get from {_origin(case, read)} instead of {gradient(case, manual.version)}"
                    ),
                    evidence={"used": read.value, "instead_of": manual.candidate.name},
                )


def _origin(case: Case, read: Read) -> str:
    producer = read.value.producer
    if producer is None or producer.index > case.plan.loss_op.index:
        return name(case, read.value)
    return f"{name(case, read.value)} of {line(case, producer)}, which is older than this backward pass,"


def _unused(case: Case) -> Iterator[Prediction]:
    """The right upstream gradient, but not used, divided by, or transposed."""
    for value in case.segment.values if case.first.fits else ():
        right = case.manual_gradient_of(value)
        if right is None:
            continue
        parts = {"g": right.version, "x": value}
        yield Prediction(
            "missing-upstream",
            with_upstream(value, lambda scene, g: torch.ones_like(g)),
            "it is the derivative alone: it is not multiplied with {g}, the gradient of {x}",
            parts,
            {"upstream": right.candidate.name},
        )
        yield Prediction(
            "inverted-factor",
            with_upstream(value, lambda scene, g: 1 / g),
            "it is divided by {g}, the gradient of {x}, where it should be multiplied with it",
            parts,
            {"upstream": right.candidate.name},
        )
        if is_square(value.shape) and len(value.shape) == 2:
            yield Prediction(
                "transposed-operand",
                with_upstream(value, lambda scene, g: g.T),
                "{g} is transposed once too often or too little",
                parts,
                {"operand": right.candidate.name},
            )


ANOTHER = Mistake("another upstream gradient", predictions=_another_gradient)
OLDER = Mistake("an older gradient", predictions=_value_read)
SKIPPED = Mistake("skipped step", predictions=_skipped_step)
UNUSED = Mistake("unused upstream gradient", predictions=_unused)
