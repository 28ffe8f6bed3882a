"""The pieces of the forward pass that are a function of one value, element by element."""

from collections.abc import Iterable

import torch

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.functions import Function
from gradcheck.diagnosis.mistakes.mistake import Predict
from gradcheck.diagnosis.mistakes.scene import Scene, vjp
from gradcheck.diagnosis.mistakes.segment import Edge
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import norm

_MOST_STRETCHES = 10


class Stretch:
    """`result` is a function of `argument`, element by element; `edge` is the last step to it."""

    def __init__(self, argument: Value, result: Value, edge: Edge) -> None:
        self.argument = argument
        self.result = result
        self.edge = edge
        self._slopes: dict[Scene, torch.Tensor | None] = {}
        self._weights: dict[Scene, tuple[torch.Tensor, float, float] | None] = {}

    def slope(self, scene: Scene) -> torch.Tensor | None:
        """The right derivative at every element."""
        if scene not in self._slopes:
            tensor = scene.run.graph.tensor(self.result)
            start = scene.run.graph.tensor(self.argument)
            self._slopes[scene] = vjp([tensor], start, [torch.ones_like(tensor)])
        return self._slopes[scene]

    def with_slope(self, slope: Predict) -> Predict:
        """What would be found if that were the derivative."""

        def predict(scene: Scene) -> torch.Tensor | None:
            right, taken = self.slope(scene), slope(scene)
            if right is None or taken is None or not self._may_explain(scene, right, taken):
                return None
            given = scene.gradients[self.result]
            return scene.instead(self.argument, right * given, taken * given)

        return predict

    def recognised(self, case: Case, known: Iterable[Function]) -> Function | None:
        """The function that the stretch is, if it is a known one at every point."""
        for function in known:
            if all(
                torch.allclose(
                    function.apply(scene.tensor(self.argument)),
                    scene.tensor(self.result),
                    rtol=1e-9,
                    atol=1e-12,
                )
                for scene in case.scenes
            ):
                return function
        return None

    def _may_explain(self, scene: Scene, right: torch.Tensor, taken: torch.Tensor) -> bool:
        """The scene's own short test, with everything in it that stays the same kept: many derivatives are tried."""
        if scene not in self._weights:
            image = scene.image(self.argument)
            weights = image * scene.gradients[self.result] if image is not None else None
            self._weights[scene] = (
                (weights, float((weights * right).sum()), norm(weights)) if weights is not None else None
            )
        kept = self._weights[scene]
        if kept is None or kept[0].shape != taken.shape:
            return True
        weights, of_right, size = kept
        reached = float((weights * taken).sum()) - of_right
        return scene.close_along(reached, size * (norm(taken) + norm(right)))


def stretches_of(case: Case) -> list[Stretch]:
    """The longest steps first, between named values first: a sigmoid written out as 1 / (1 + exp(-x)) is one."""
    segment = case.segment
    depth = {value: i for i, value in enumerate((case.at, *segment.values))}
    found: list[Stretch] = []
    for argument in depth:
        if argument in segment.ends or (not argument.shape and argument is not case.at):
            continue
        pure: dict[Value, bool] = {argument: True}
        for op in segment.ops:
            reads = [value for value in op.inputs if value in pure]
            for target in op.outputs if reads else ():
                if target in pure:
                    continue
                pure[target] = (
                    op.operation.is_elementwise
                    and target.shape == argument.shape
                    and all(pure[value] for value in reads)
                )
                if pure[target] and target in depth:
                    found.append(Stretch(argument, target, Edge(op, reads[0], target)))
    found.sort(
        key=lambda s: (
            s.argument is not case.at,
            not (case.is_named(s.argument) or s.argument is case.at) or not case.is_named(s.result),
            -depth[s.result] if s.argument is case.at else depth[s.result],
        )
    )
    return found[:_MOST_STRETCHES]
