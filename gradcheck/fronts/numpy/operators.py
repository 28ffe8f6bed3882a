"""The operators of Python by name, and which of its functions matter to a NumPy program."""

from __future__ import annotations

import operator
import types
from collections.abc import Callable
from typing import Any

import numpy as np

ARRAYS = (np.ndarray, np.generic)
INERT = frozenset({int, str, bool, type(None), list, dict, tuple, set, bytes})
Operate = Callable[..., Any]

OPERATORS: dict[str, Operate] = {
    name: getattr(operator, name if hasattr(operator, name) else f"{name}_")
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
}
COMPARISONS: dict[str, Operate] = {n: getattr(operator, n) for n in ("lt", "le", "gt", "ge", "eq", "ne")}
FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
IN_PLACE: dict[str, Operate] = {f"i{name}": getattr(operator, f"i{name}") for name in OPERATORS}
UNARY: dict[str, Operate] = {"neg": operator.neg, "invert": operator.invert}
ALL = {**OPERATORS, **COMPARISONS}
# Python's own functions that hand out the items of an array.
ITERATE = frozenset({zip, enumerate, map, list, tuple, sum, iter, sorted, filter, max, min, all, any})
METHODS = (types.BuiltinFunctionType, types.MethodWrapperType)


def is_of_numpy(function: Any) -> bool:
    """Whether it is a function of a library of arrays: what it computes is known, or known to be unknown."""
    module = getattr(function, "__module__", None) or ""
    return type(module) is str and module.partition(".")[0] in ("numpy", "scipy", "math", "numba")
