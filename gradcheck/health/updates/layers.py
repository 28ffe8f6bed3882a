"""The linear layers of a forward pass: where a weight matrix is multiplied with what the layer before computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradcheck.fronts.tape import Op, Value

_PRODUCTS = {"matmul", "__matmul__", "mm", "mv"}


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """`weights` is the matrix as the product read it (a view of the parameter, or itself), `out` what came out of
    it. Unit i is number i along `weights_axis` of the one and along `out_axis` of the other."""

    op: Op
    parameter: Value
    weights: Value
    weights_axis: int
    out: Value
    out_axis: int


def linear_layers(ops: Sequence[Op], parameters: Iterable[Value]) -> list[LinearLayer]:
    """In the order of the program."""
    by_root = {p.root: p for p in parameters if len(p.shape) >= 2}
    found = []
    for op in ops:
        position = _position(op, by_root)
        if position is None or not isinstance(op.out, Value):
            continue
        weights = op.args[position]
        parameter = by_root[weights.root]
        if op.name == "linear":
            found.append(LinearLayer(op, parameter, weights, 0, op.out, -1))
        elif position == (2 if op.name == "addmm" else 1):
            found.append(LinearLayer(op, parameter, weights, -1, op.out, -1))
        else:
            other = op.args[position + 1]
            is_vector = isinstance(other, Value) and len(other.shape) == 1
            found.append(LinearLayer(op, parameter, weights, -2, op.out, -1 if is_vector else -2))
    return found


def _position(op: Op, by_root: dict[Value, Value]) -> int | None:
    """Which argument of the product is a weight matrix."""
    if op.name == "linear":
        positions = [1]
    elif op.name == "addmm":
        positions = [2, 1]
    elif op.name in _PRODUCTS and len(op.args) >= 2:
        positions = [1, 0]
    else:
        return None
    for position in positions:
        argument = op.args[position] if len(op.args) > position else None
        if isinstance(argument, Value) and argument.root in by_root and len(argument.shape) == 2:
            return position
    return None
