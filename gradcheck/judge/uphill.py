"""Whether the program's gradients point uphill: `W += rate * delta`, with no minus sign on the way."""

from __future__ import annotations

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.ops import Family
from gradcheck.replay.passes import PassPlan

_MOST_STEPS = 4  # from the update back to the gradient


def goes_uphill(plan: PassPlan) -> bool:
    adding = [u for u in plan.updates if u.op.operation is ops.ADD]
    return bool(adding) and all(_adds_plainly(u.op) for u in adding)


def _adds_plainly(op: Op) -> bool:
    alpha = (op.kwargs or {}).get("alpha", 1)
    if isinstance(alpha, (int, float)) and alpha < 0:
        return False
    step = op.args[1] if len(op.args) > 1 else None
    for _ in range(_MOST_STEPS):
        if not isinstance(step, Value) or step.producer is None:
            break
        producer = step.producer
        if producer.operation.family in (Family.PRODUCT, Family.REDUCTION):
            break  # the gradient itself: what it is computed from has signs of its own
        if producer.operation in (ops.NEG, ops.SUB):
            return False
        if any(isinstance(a, (int, float)) and a < 0 for a in producer.args):
            return False
        values = [a for a in producer.args if isinstance(a, Value) and a.shape == step.shape]
        step = values[0] if len(values) == 1 else None
    return True
