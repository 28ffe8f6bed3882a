"""Step functions: what is constant but for jumps has a derivative of zero, and nobody trains with that."""

from __future__ import annotations

from gradcheck.fronts.tape import Value
from gradcheck.replay.passes import PassPlan

_STEPS = {
    "sign", "sgn", "round", "floor", "ceil", "trunc", "fix", "heaviside", "bernoulli", "floor_divide", "argmax", "argmin",
    "gt", "ge", "lt", "le", "eq", "ne", "greater", "greater_equal", "less", "less_equal", "bucketize", "searchsorted",
    "one_hot", "multinomial", "signbit", "int", "long", "bool", "byte",
}  # fmt: skip


def leads_through_steps(plan: PassPlan, value: Value) -> bool:
    """Whether some step function is computed from `value`."""
    reached = {value}
    for op in plan.forward_ops:
        if any(read in reached for read in op.inputs):
            if op.name.strip("_") in _STEPS:
                return True
            reached.update(op.outputs)
    return False
