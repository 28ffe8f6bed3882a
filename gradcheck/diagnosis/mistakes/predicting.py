"""What a mistake in one step makes of the whole gradient: the forms that most predictions have."""

from collections.abc import Callable

import torch

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Predict
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.segment import Edge
from gradcheck.fronts.tape import Value

Change = Callable[[Scene, torch.Tensor], torch.Tensor | None]


def with_step(edge: Edge, change: Change) -> Predict:
    """As if one step handed back something else: `change` makes it of what is right."""

    def predict(scene: Scene) -> torch.Tensor | None:
        local = scene.local(edge.op, edge.source)
        return scene.instead(edge.source, local, change(scene, local)) if local is not None else None

    return predict


def with_operand(edge: Edge, operand: Value, used: Predict) -> Predict:
    """As if one step had been differentiated with another operand."""

    def change(scene: Scene, local: torch.Tensor) -> torch.Tensor | None:
        numbers = used(scene)
        if numbers is None:
            return None
        return scene.local_with(edge.op, edge.source, arguments={operand: numbers})

    return with_step(edge, change)


def with_upstream(value: Value, used: Change) -> Predict:
    """As if the gradient of `value` had been another one, which `used` makes of the right one."""

    def predict(scene: Scene) -> torch.Tensor | None:
        right = scene.gradients.get(value)
        return scene.instead(value, right, used(scene, right)) if right is not None else None

    return predict


def operands(case: Case, edge: Edge) -> list[Value]:
    """What else the step computes with, as far as it was replayed."""
    return [value for value in dict.fromkeys(edge.op.inputs) if value is not edge.source and case.has(value)]
