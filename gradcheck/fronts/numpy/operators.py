"""Which of Python's own functions and objects matter to a NumPy program."""

import types
from functools import lru_cache
from typing import Any

import numpy as np

ARRAYS = (np.ndarray, np.generic)
INERT = frozenset({int, str, bool, type(None), list, dict, tuple, set, bytes})
PLAIN = frozenset({int, float})
FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
# Python's own functions that hand out the items of an array.
ITERATE = frozenset({zip, enumerate, map, list, tuple, sum, iter, sorted, filter, max, min, all, any})
METHODS = (types.BuiltinFunctionType, types.MethodWrapperType)


def is_of_numpy(function: Any) -> bool:
    """Whether it is a function of a library of arrays: what it computes is known, or known to be unknown."""
    # What wraps another function may bear the name of its module: `np.vectorize(float)`.
    return _of_arrays(getattr(function, "__module__", None)) or _of_arrays(
        getattr(type(function), "__module__", None)
    )


def computes_alone(function: Any, args: tuple[Any, ...]) -> bool:
    """Whether a call of it runs nothing of the person's, however often it is made."""
    of_numpy = isinstance(getattr(function, "__self__", None), (*ARRAYS, np.ufunc)) or is_of_numpy(function)
    is_one = isinstance(function, (*METHODS, types.FunctionType, np.ufunc, type(np.sort)))
    return of_numpy and is_one and not any(map(callable, args))


def _of_arrays(module: Any) -> bool:
    return type(module) is str and _is_of_arrays(module)


@lru_cache(maxsize=1024)
def _is_of_arrays(module: str) -> bool:
    return module.partition(".")[0] in ("numpy", "scipy", "math", "numba")
