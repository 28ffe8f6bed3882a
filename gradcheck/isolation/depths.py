"""The depth of a value in its network: the weight matrices between the input and it."""

from __future__ import annotations

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.match.products import is_linear_map
from gradcheck.isolation.step import TrainingStep


class Depths:
    """Counts products with a weight matrix. A matrix that was applied already, as at an earlier step of a sequence,
    makes nothing deeper; a parameter is as deep as the product it is applied in."""

    def __init__(self, step: TrainingStep) -> None:
        self._parameters = {value.root for value in step.carried} | step.changed
        self._made: dict[Value, tuple[int, frozenset[Value]]] = {}
        self._applied: dict[Value, int] = {}
        for op in step.judged.plan.forward_ops:
            self._follow(op)

    def of(self, value: Value) -> int:
        if value in self._made:
            return self._made[value][0]
        return self._applied.get(value.root, 0)

    def _follow(self, op: Op) -> None:
        given = [self._made[value] for value in op.inputs if value in self._made]
        depth = max((deep for deep, _ in given), default=0)
        met = frozenset().union(*(weights for _, weights in given))
        applied = [value.root for value in op.inputs if value.root in self._parameters]
        weights = {
            value.root for value in op.inputs if value.root in self._parameters and len(value.shape) >= 2
        }
        new = weights - met if is_linear_map(op) else set()
        depth += bool(new)
        for value in (*op.outputs, *op.mutated):
            if value.root in self._parameters:
                continue  # a view of a parameter
            self._made[value] = depth, met | new
        if any(value.root not in self._parameters for value in op.outputs):
            for root in applied:
                self._applied.setdefault(root, depth)
