"""A formula for several steps at once lost, gained or inverted a factor: before all of it, or before one term."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import torch

from gradcheck.diagnosis.explanations.branches import Branch, branches_of, path, plain
from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.constants import Constant, constants_of, fitted
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.diagnosis.explanations.wording import is_named, value_at
from gradcheck.fronts.tape import Value
from gradcheck.replay.runner import ReplayError

_MOST_FACTORS = 16
_POWERS = {
    -1: ("missing-factor", "the factor {} is missing"),
    1: ("extra-factor", "the factor {} is there once too often"),
    -2: ("inverted-factor", "it is divided by {} where it should be multiplied with it"),
    2: ("inverted-factor", "it is multiplied with {} where it should be divided by it"),
}


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    if not case.first.fits or case.first.found.numel() < 3:
        return
    factors = _factors(case)
    for power, (kind, words) in _POWERS.items():
        for factor in factors:
            yield from _of(case, (factor,), power, kind, words.format(value_at(case, factor)))
    for first, second in combinations(factors, 2):
        both = f"{value_at(case, first)} and {value_at(case, second)}"
        yield from _of(case, (first, second), -1, "missing-factor", f"the factors {both} are missing")
    for branch, part in branches_of(case):
        for power, (kind, words) in _POWERS.items():
            for factor in factors:
                if _fits(case.first, part, case.first.tensor(factor), power):
                    text = f"in {path(case, branch)}, {words.format(value_at(case, factor))}"
                    yield _in_branch(case, branch, factor, power, kind, text)


def _factors(case: Case) -> list[Value]:
    """Named operands of the steps in between, as long as they can be multiplied with the gradient."""
    found: dict[Value, None] = {}
    for op in case.segment.ops:
        for value in (*op.inputs, *op.outputs):
            if value is not case.at and is_named(case, value) and value not in found:
                try:
                    numbers = case.first.tensor(value)
                    fits = (numbers * case.first.expected).shape == case.first.expected.shape
                except (ReplayError, RuntimeError):
                    continue
                if fits and numbers.is_floating_point():
                    found[value] = None
    return list(found)[:_MOST_FACTORS]


def _of(case: Case, factors: tuple[Value, ...], power: int, kind: str, words: str) -> Iterator[Hypothesis]:
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
    yield Hypothesis(
        kind,
        _scaled(factors, power, constant.value),
        lambda: f"{words}{besides}{why}",
        {
            "factors": [case.judgement.names.shown(factor) for factor in factors],
            "power": power,
            "besides": constant.value,
        },
    )


def _scaled(
    factors: tuple[Value, ...], power: int, constant: float
) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        found = scene.expected * constant
        for factor in factors:
            found = found * scene.tensor(factor) ** power
        return found if found.shape == scene.expected.shape else None

    return predict


def _fits(scene: Scene, part: torch.Tensor, factor: torch.Tensor, power: int) -> bool:
    changed = scene.expected - part + part * factor**power
    return changed.shape == scene.expected.shape and scene.agrees(changed)


def _in_branch(case: Case, branch: Branch, factor: Value, power: int, kind: str, text: str) -> Hypothesis:
    def predict(scene: Scene) -> torch.Tensor | None:
        part = branch.part(scene)
        if part is None:
            return None
        return scene.expected - part + part * scene.tensor(factor) ** power

    shown = case.judgement.names.shown(factor)
    return Hypothesis(
        kind, predict, lambda: text, {"factors": [shown], "power": power, "in": plain(case, branch)}
    )
