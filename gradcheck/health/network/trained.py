"""Which values of a forward pass are parameters: what is trained, and not the data."""

from __future__ import annotations

from collections.abc import Iterable

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Op, Value
from gradcheck.health.context import PassContext


class StepParameters:
    """What autograd watches, an update moves, or has a manual gradient, and is not computed from another such."""

    def __init__(self, context: PassContext) -> None:
        plan, truth = context.judged.plan, context.truth
        trained = {update.parameter.root for update in plan.updates}
        for judged in context.judge.judged:
            named = judged.candidate.of is not None or parse(judged.candidate.name).form is not Form.NONE
            if judged.of is not None and judged.of in truth and named:
                trained.add(judged.of.root)
        for op in plan.forward_ops:
            trained.update(value.root for value in op.inputs if value.requires_grad and value.is_leaf)
        self.roots = trained - _computed_from(trained, plan.forward_ops)

    def holds(self, value: Value) -> bool:
        return value.root in self.roots


def _computed_from(roots: set[Value], ops: Iterable[Op]) -> set[Value]:
    found: set[Value] = set()
    for op in ops:
        read = {value.root for value in op.inputs}
        if read & roots or read & found:
            # A view of a parameter (`W.T`) is the parameter.
            found.update(value.root for value in op.outputs if value.root not in read)
    return found
