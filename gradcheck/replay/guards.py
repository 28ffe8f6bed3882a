"""Guards against a logarithm or a quotient of nothing: `np.log(p + 1e-7)`, `/ (std + 1e-8)`, `np.clip(p, 1e-12, 1)`.

Backward passes leave them out on purpose: the derivative is that of the formula without them.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op

LARGEST = 1e-6  # a larger number is part of a formula, such as the 1e-5 of a normalisation


def without_guards(forward_ops: Iterable[Op]) -> dict[int, Op]:
    """By index, each op that does nothing but guard, as one that does nothing."""
    found: dict[int, Op] = {}
    for op in forward_ops:
        if op.kind is not Kind.PURE or len(op.inputs) != 1:
            continue
        if op.operation in (ops.ADD, ops.SUB):
            args = tuple(0.0 if _is_tiny(arg) else arg for arg in op.args)
        elif op.operation is ops.CLAMP:
            args = tuple(_without_bound(arg, upper=place == 2) for place, arg in enumerate(op.args))
            named = {n: _without_bound(arg, upper=n == "max") for n, arg in (op.kwargs or {}).items()}
            if args != tuple(op.args) or named != (op.kwargs or {}):
                found[op.index] = replace(op, args=args, kwargs=named or None, lowered=None)
            continue
        else:
            continue
        if args != tuple(op.args):
            found[op.index] = replace(op, args=args, lowered=None)
    return found


def _is_tiny(arg: Any) -> bool:
    return isinstance(arg, float) and 0 < abs(arg) <= LARGEST


def _without_bound(arg: Any, *, upper: bool) -> Any:
    if not isinstance(arg, float):
        return arg
    if _is_tiny(arg) and not upper:
        return -float("inf")
    return float("inf") if upper and 0 < abs(1 - arg) <= LARGEST else arg
