"""Which values of a forward pass are parameters: what is trained, and not the data."""

from __future__ import annotations

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
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
        marks = {root: frozenset((root,)) for root in trained}
        carried = flow.taint(plan.forward_ops, marks, key=flow.storage)
        self.roots = {root for root in trained if carried[root] == marks[root]}

    def holds(self, value: Value) -> bool:
        return value.root in self.roots
