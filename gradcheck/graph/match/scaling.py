"""How a number per feature grows with the batch it was taken of, found from what it was computed by.

Twice the batch has twice the mean (degree 1), four times the variance (2), twice the standard deviation (1), and half the
inverse of that (-1): the degree tells what a statistic is meant as, whatever its name and its numbers are.
"""

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value

_MOST_STEPS = 32
# Of what each is the power; what is linear keeps the degree.
_POWERS = {
    ops.VAR: 2.0, ops.STD: 1.0, ops.SQUARE: 2.0, ops.SQRT: 0.5, ops.RSQRT: -0.5, ops.RECIPROCAL: -1.0, ops.ABS: 1.0,
    ops.CLAMP: 1.0,
}  # fmt: skip


def degree(value: Value, within: int = _MOST_STEPS) -> float | None:
    """None where it is not known."""
    value = value.earlier or value
    op = value.producer
    found = _computed(op, within) if op is not None and within else None
    is_batch = len(value.shape) > 1 and value.shape[0] > 1
    return 1.0 if found is None and is_batch else found


def _computed(op: Op, within: int) -> float | None:
    operands = [op.args[i] for i in (1, 0)] if op.reverse and len(op.args) > 1 else list(op.args)
    degrees = [_of_operand(operand, within - 1) for operand in operands]
    kind = op.operation
    if not operands:
        return None
    if kind in ops.ADDITIVE:
        # A sum is of what its terms are of; a number that is added is an epsilon.
        tensors = [d for operand, d in zip(operands[:2], degrees, strict=False) if isinstance(operand, Value)]
        return _common(tensors)
    if kind.linear == "all":
        return degrees[0]
    if kind in _POWERS:
        return _times(degrees[0], _POWERS[kind])
    if kind is ops.POW and len(operands) > 1:
        return _times(degrees[0], operands[1])
    if kind in (ops.MUL, ops.DIV) and len(operands) > 1:
        first, second = degrees[:2]
        if first is not None and second is not None:
            return first + second if kind is ops.MUL else first - second
    return None


def _of_operand(operand: object, within: int) -> float | None:
    if isinstance(operand, Value):
        return degree(operand, within)
    if isinstance(operand, (list, tuple)):  # of a stack
        return _common([_of_operand(part, within) for part in operand])
    return 0.0 if isinstance(operand, (int, float)) else None


def _common(degrees: list[float | None]) -> float | None:
    known = set(degrees) - {None}
    return known.pop() if len(known) == 1 else None


def _times(known: float | None, power: object) -> float | None:
    return known * power if known is not None and isinstance(power, (int, float)) else None
