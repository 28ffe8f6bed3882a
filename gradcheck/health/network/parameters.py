"""Which values of a step are parameters: what it moves; else what it computes gradients of and nothing made."""

from __future__ import annotations

from gradcheck.health.context import PassContext
from gradcheck.recording.tape import Value


def parameters_of(context: PassContext) -> set[Value]:
    plan = context.judged.plan
    moved = {update.parameter.root for update in plan.updates}
    if moved:
        return moved
    # An exercise without an update: of the values that have a gradient, those that no other one went into.
    graded = {value.root for value in context.judge.paired}
    made = set()
    touched = set(graded)
    for op in plan.forward_ops:
        if any(value.root in touched for value in op.inputs):
            roots = {value.root for value in (*op.outputs, *op.mutated)}
            made.update(roots - {value.root for value in op.inputs})
            touched.update(roots)
    return graded - made
