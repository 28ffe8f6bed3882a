"""Whether a loss can only be meant to fall, seen from how it is computed.

A cross-entropy, a mean of squares or of absolute values, or a log-likelihood with a minus sign has a least value and
no greatest one: nobody goes uphill on it. A bare log-likelihood or a reward may well be maximised.
"""

from gradcheck import ops
from gradcheck.fronts.markers import Inferred
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph import flow
from gradcheck.ops import Family
from gradcheck.replay.passes import PassPlan

_MOST_STEPS = 12  # back from the loss


def is_minimised(plan: PassPlan) -> bool:
    return _has_least_value(plan, plan.loss, _MOST_STEPS)


def _has_least_value(plan: PassPlan, value: Value, steps: int) -> bool:
    op = value.producer
    if op is None or not steps:
        return False
    operation = op.operation
    if isinstance(op.func, Inferred) or operation.family is Family.LOSS or operation in ops.NOT_NEGATIVE:
        return True
    if _is_square(op) or _is_hinge(op):
        return True
    scales = operation in (ops.MUL, ops.DIV)
    if operation is ops.NEG or (scales and any(a < 0 for a in op.args if isinstance(a, (int, float)))):
        return _has_log(plan, op)
    keeps = operation in (ops.SUM, ops.MEAN) or operation.keeps_numbers
    values = [a for a in op.args if isinstance(a, Value)][: 1 if operation is ops.DIV else None]
    if operation is ops.ADD:  # of terms that each have one
        return bool(values) and all(_has_least_value(plan, term, steps - 1) for term in values)
    return (scales or keeps) and len(values) == 1 and _has_least_value(plan, values[0], steps - 1)


def _is_square(op: Op) -> bool:
    if len(op.args) < 2:
        return False
    left, right = op.args[:2]
    return (op.operation is ops.POW and right == 2) or (op.operation is ops.MUL and left is right)


def _is_hinge(op: Op) -> bool:
    """`np.maximum(0, margin)`, `margin.clamp(min=0)`."""
    if op.operation is ops.CLAMP and op.name != "clamp_max":
        least = [*op.args[1:2], (op.kwargs or {}).get("min")]
    else:
        least = [*op.args] if op.operation is ops.MAXIMUM else []
    return any(isinstance(bound, (int, float)) and bound >= 0 for bound in least)


def _has_log(plan: PassPlan, op: Op) -> bool:
    """A minus sign makes a loss of a log-likelihood; before a sum of squares it makes a score."""

    def is_before(value: Value) -> bool:
        return value.producer is not None and value.producer.index < plan.start

    made = (value.producer for value in flow.ancestors(*op.inputs, stop=is_before) if not is_before(value))
    return any(maker is not None and maker.operation in ops.LOGARITHMS for maker in made)
