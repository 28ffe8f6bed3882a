"""Which values of a forward pass are parameters: what is trained, and not the data."""

from __future__ import annotations

from gradcheck.health.context import PassContext
from gradcheck.recording.gradient_names import Form, parse
from gradcheck.recording.tape import Value
from gradcheck.replay.slices import produced


class TrainedParameters:
    """Leaves of the step that autograd watches, that an update moves, or that have a manual gradient."""

    def __init__(self, context: PassContext) -> None:
        plan, truth = context.judged.plan, context.truth
        self.roots: set[Value] = {update.parameter.root for update in plan.updates}
        made = {value.root for value in produced(plan.forward_ops)}
        for judged in context.judge.judged:
            of = judged.of
            if of is None or of.root in made or of not in truth:
                continue
            if judged.candidate.of is not None or parse(judged.candidate.name).form is not Form.NONE:
                self.roots.add(of.root)
        for op in plan.forward_ops:
            self.roots.update(value.root for value in op.inputs if value.requires_grad and value.is_leaf)

    def holds(self, value: Value) -> bool:
        return value.root in self.roots
