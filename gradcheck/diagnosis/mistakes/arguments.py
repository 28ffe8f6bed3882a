"""What an op was called with besides tensors: plain numbers, the axis, how many numbers a mean is taken over."""

import math

from gradcheck import ops
from gradcheck.fronts.tape import Number, Op, Value


def operand_of(op: Op) -> object:
    return op.args[0] if op.args else (op.kwargs or {}).get("input")


def axis_of(op: Op) -> int | None:
    """The axis of a reduction or softmax, if one is named."""
    axis, kwargs = op.operation.axis, op.kwargs or {}
    if axis is None:
        return None
    given = [kwargs[keyword] for keyword in axis.keywords if keyword in kwargs]
    given += op.args[axis.position : axis.position + 1]
    return next((a for a in given if isinstance(a, int) and not isinstance(a, bool)), None)


def averaged(op: Op) -> int:
    """How many numbers a mean is taken over."""
    source = operand_of(op)
    if (op.kwargs or {}).get("reduction") in ("sum", "none"):
        return 0
    if not isinstance(source, Value) or not isinstance(op.out, Value):
        return 0
    count = math.prod(source.shape) // max(1, math.prod(op.out.shape))
    if op.operation is ops.CROSS_ENTROPY and len(source.shape) > 1:
        count //= source.shape[1]
    return count


def plain_numbers(op: Op) -> list[float]:
    """The plain numbers among the arguments."""
    found = []
    for thing in (*(op.args or ()), *(op.kwargs or {}).values()):
        number = thing.was if isinstance(thing, Number) else thing
        if isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number):
            found.append(float(number))
    return found
