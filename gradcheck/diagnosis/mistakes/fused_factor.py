"""A formula for several steps at once lost, gained or inverted a factor: before all of it, or before one term."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import torch

from gradcheck.diagnosis.mistakes.branch import branches_of, plain, shown
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.constants import Constant, constants_of, fitted
from gradcheck.diagnosis.mistakes.mistake import Mistake, Predict, Prediction
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.fronts.tape import Value
from gradcheck.replay.runner import ReplayError

_MOST_FACTORS = 16
_POWERS = {
    -1: ("missing-factor", "the factor {x:at} is missing"),
    1: ("extra-factor", "the factor {x:at} is there once too often"),
    -2: ("inverted-factor", "it is divided by {x:at} where it should be multiplied with it"),
    2: ("inverted-factor", "it is multiplied with {x:at} where it should be divided by it"),
}


def _predictions(case: Case) -> Iterator[Prediction]:
    if not case.first.fits or case.first.found.numel() < 3:
        return
    factors = _factors(case)
    for power, (kind, words) in _POWERS.items():
        for factor in factors:
            yield from _of(case, (factor,), power, kind, words)
    for both in combinations(factors, 2):
        yield from _of(case, both, -1, "missing-factor", "the factors {x:at} and {y:at} are missing")
    for branch, _ in branches_of(case):
        for power, (kind, words) in _POWERS.items():
            for factor in factors:

                def predict(scene: Scene, b=branch, f=factor, p=power) -> torch.Tensor | None:  # type: ignore[no-untyped-def]
                    part = b.part(scene)
                    return None if part is None else scene.expected - part + part * scene.tensor(f) ** p

                if case.first.agrees(predict(case.first)):
                    yield Prediction(
                        kind,
                        predict,
                        f"in {{path}}, {words}",
                        {"path": shown(case, branch), "x": factor},
                        {"factors": [factor], "power": power, "in": plain(case, branch)},
                    )


def _factors(case: Case) -> list[Value]:
    """Named operands of the steps in between, as long as they can be multiplied with the gradient."""
    found: dict[Value, None] = {}
    for op in case.segment.ops:
        for value in (*op.inputs, *op.outputs):
            if value is not case.at and case.is_named(value) and value not in found:
                try:
                    numbers = case.first.tensor(value)
                    fits = (numbers * case.first.expected).shape == case.first.expected.shape
                except (ReplayError, RuntimeError):
                    continue
                if fits and numbers.is_floating_point():
                    found[value] = None
    return list(found)[:_MOST_FACTORS]


def _of(case: Case, factors: Sequence[Value], power: int, kind: str, words: str) -> Iterator[Prediction]:
    """The whole is right but for these factors and, perhaps, a constant."""
    scene = case.first
    without = _scaled(factors, power, 1.0)(scene)
    if without is None or not bool(torch.isfinite(without).all()):
        return
    constant: Constant | None = Constant(1.0, "1")
    if not scene.agrees(without):
        factor = fitted(scene.found, without, scene)
        constant = constants_of(case).known(factor, scene.precision) if factor is not None else None
    if constant is None:
        return
    besides = "" if constant.value == 1 else f", and it is {constant.text} times what it should be then"
    why = f" ({constant.why})" if constant.why else ""
    yield Prediction(
        kind,
        _scaled(factors, power, constant.value),
        words + "{besides}{why}",
        {"x": factors[0], "y": factors[-1], "besides": besides, "why": why},
        {"factors": list(factors), "power": power, "besides": constant.value},
    )


def _scaled(factors: Sequence[Value], power: int, constant: float) -> Predict:
    def predict(scene: Scene) -> torch.Tensor | None:
        found = scene.expected * constant
        for factor in factors:
            found = found * scene.tensor(factor) ** power
        return found if found.shape == scene.expected.shape else None

    return predict


MISTAKE = Mistake("fused factor", predictions=_predictions)
