"""The small number that keeps a root or a quotient from zero: left out, on the wrong side of the root, or another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from gradcheck.base import numbers
from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.constants import plain_numbers
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.diagnosis.explanations.wording import line, name
from gradcheck.fronts.tape import Op, Value

_ADDS = {"add", "__add__", "__radd__"}
_LARGEST = 0.02
_USUAL = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)

Change = Callable[[Scene], dict[Op, torch.Tensor]]


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    if not case.first.fits:
        return
    for op in case.segment.ops:
        epsilon = _epsilon(op)
        if epsilon is None:
            continue
        shown = numbers.value(epsilon)
        source = next(value for value in op.inputs)
        for root in case.segment.ops:
            if op.out in root.inputs and _root_power(root) is not None:
                yield from _both(
                    case,
                    _outside(op, root, source, epsilon),
                    op,
                    f"{shown} is added to the root of {name(case, source)}; the forward pass adds it under the root "
                    f"({line(case, op)})",
                )
        before = source.producer
        if before is not None and _root_power(before) == 0.5 and before.inputs:
            yield from _both(
                case,
                _inside(op, before, epsilon),
                op,
                f"{shown} is added under the root; the forward pass adds it to the root, {name(case, source)} "
                f"({line(case, op)})",
            )
        yield from _both(
            case,
            _other(op, source, 0.0),
            op,
            f"the {shown} added to {name(case, source)} ({line(case, op)}) is left out",
        )
        for other in _USUAL:
            if abs(other - epsilon) > 1e-6 * epsilon:
                yield from _both(
                    case,
                    _other(op, source, other),
                    op,
                    f"{numbers.value(other)} is added to {name(case, source)} where the forward pass adds {shown} "
                    f"({line(case, op)})",
                )


def _epsilon(op: Op) -> float | None:
    if op.name not in _ADDS or len(op.inputs) != 1 or not isinstance(op.out, Value):
        return None
    given = plain_numbers(op)
    return given[0] if len(given) == 1 and 0 < given[0] <= _LARGEST else None


def _root_power(op: Op) -> float | None:
    if op.name == "sqrt":
        return 0.5
    if op.name == "rsqrt":
        return -0.5
    if op.name in ("pow", "__pow__", "power", "float_power"):
        powers = plain_numbers(op)
        if powers and abs(powers[-1]) == 0.5:
            return powers[-1]
    return None


def _outside(add: Op, root: Op, source: Value, epsilon: float) -> Change:
    def change(scene: Scene) -> dict[Op, torch.Tensor]:
        outside = scene.tensor(source).sqrt() + epsilon
        return {root: outside if _root_power(root) == 0.5 else 1 / outside}

    return change


def _inside(add: Op, root: Op, epsilon: float) -> Change:
    return lambda scene: {add: (scene.tensor(root.inputs[0]) + epsilon).sqrt()}


def _other(add: Op, source: Value, epsilon: float) -> Change:
    return lambda scene: {add: scene.tensor(source) + epsilon}


def _both(case: Case, change: Change, add: Op, sentence: str) -> Iterator[Hypothesis]:
    """In a formula made of the forward pass's own values the change sits in one factor; in one that starts anew, in
    everything that follows."""
    evidence = {"epsilon": _epsilon(add)}
    for value in case.segment.values:
        for power in (1, -1, 3, -3):  # of the changed value in the formula: one, or its cube in a fused one
            yield Hypothesis(
                "misplaced-epsilon", _in_factor(case, change, value, power), lambda: sentence, evidence
            )
    for edge in case.segment.edges:
        yield Hypothesis(
            "misplaced-epsilon", _in_step(case, change, edge.op, edge.source), lambda: sentence, evidence
        )


def _changed_values(case: Case, change: Change, scene: Scene) -> dict[Value, torch.Tensor]:
    key = id(change)
    found = scene.scratch.get(key)
    if found is None:
        changed = change(scene)
        found = scene.scratch[key] = scene.computed_along(case.segment.ops, {}, changed)
    return found


def _in_factor(
    case: Case, change: Change, value: Value, power: int
) -> Callable[[Scene], torch.Tensor | None]:
    """As if everything had been multiplied with the changed value instead of the right one."""

    def predict(scene: Scene) -> torch.Tensor | None:
        changed = _changed_values(case, change, scene).get(value)
        if changed is None:
            return None
        try:
            found = scene.expected * (changed / scene.tensor(value)) ** power
        except RuntimeError:
            return None
        return found if found.shape == scene.expected.shape else None

    return predict


def _in_step(case: Case, change: Change, op: Op, source: Value) -> Callable[[Scene], torch.Tensor | None]:
    """As if one step had been differentiated at the changed values."""

    def predict(scene: Scene) -> torch.Tensor | None:
        changed = _changed_values(case, change, scene)
        arguments = {value: changed[value] for value in op.inputs if value in changed}
        local = scene.local(op, source)
        if not arguments or local is None:
            return None
        other = scene.local_with(op, source, arguments=arguments)
        return scene.instead(source, local, other) if other is not None else None

    return predict
