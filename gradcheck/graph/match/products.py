"""Linear maps: which operand is the weight and which the data, and along which axis the units lie."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.ops import Family

_PRODUCTS = (ops.MATMUL, ops.ADDMM)


def is_linear_map(op: Op) -> bool:
    return op.operation.family is Family.PRODUCT


def multiplies_matrices(op: Op) -> bool:
    """Whether it is one matrix times something: `x @ W`, `F.linear`."""
    return op.operation in (*_PRODUCTS, ops.LINEAR)


@dataclass(frozen=True, slots=True)
class LinearMap:
    """`read` is the weight as the operation reads it (a view of `weight`, or itself), `data` what it is applied to. Unit
    i is number i along `read_axis` of the weight and along `axis` of the result."""

    op: Op
    weight: Value | None = None
    data: Value | None = None
    axis: int | None = None
    fan_in: int | None = None
    read: Value | None = None
    read_axis: int = -1


def factors(op: Op) -> list[Value]:
    """What a product multiplies, left and right."""
    operands = [value for value in op.args if isinstance(value, Value)]
    if op.operation is ops.ADDMM:
        operands = operands[1:]
    return operands[::-1] if op.reverse else operands


def linear_map(op: Op, parameter: Callable[[Value], Value | None]) -> LinearMap:
    """`parameter` says which parameter a value is, if it is one."""
    operands = factors(op)
    if len(operands) < 2:
        return LinearMap(op)
    left, right = operands[:2]
    of_right = parameter(right)
    if op.operation is ops.LINEAR:
        return LinearMap(op, of_right, left, -1, right.shape[-1], right, 0)
    if op.operation is ops.CONVOLUTION:
        return LinearMap(op, of_right, left, 1, math.prod(right.shape[1:]), right, 0)
    of_left = parameter(left)
    if op.operation not in _PRODUCTS:
        weight = of_left if of_right is None else of_right
        return LinearMap(op, weight, left if weight is of_right else right)
    if of_left is not None and of_right is None and len(left.shape) > 1:
        axis = -2 if len(right.shape) > 1 else -1
        return LinearMap(op, of_left, right, axis, left.shape[-1], left, -2)
    fan_in = right.shape[-2] if len(right.shape) > 1 else None
    return LinearMap(op, of_right, left, -1, fan_in, right)
