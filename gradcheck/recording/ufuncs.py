"""NumPy ufuncs on torch tensors, seen as what they compute.

`np.maximum(t, 0)` on a torch tensor reaches torch only as two conversions: the mathematics is invisible.
While recording, `torch.Tensor` gets an `__array_ufunc__` that lets NumPy compute exactly what it would have
computed, and tells the recorder which torch function that was.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

import numpy as np
import torch

_SPECIAL: dict[str, Callable[..., Any]] = {
    "absolute": torch.abs,
    "fabs": torch.abs,
    "power": torch.pow,
    "float_power": torch.pow,
    "conjugate": torch.conj,
    "equal": torch.eq,
    "not_equal": torch.ne,
    "less": torch.lt,
    "less_equal": torch.le,
    "greater_equal": torch.ge,
    "arcsin": torch.asin,
    "arccos": torch.acos,
    "arctan": torch.atan,
    "arcsinh": torch.asinh,
    "arccosh": torch.acosh,
    "arctanh": torch.atanh,
    "invert": torch.bitwise_not,
    "fmax": torch.fmax,
    "fmin": torch.fmin,
}


def torch_equivalent(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """The torch function that computes what `ufunc` does, elementwise and with broadcasting."""
    found = _SPECIAL.get(ufunc.__name__) or getattr(torch, ufunc.__name__, None)
    return found if callable(found) else None


# An operator between a NumPy number (or array) and a tensor defers to the tensor as long as the tensor has no
# `__array_ufunc__`; with one, NumPy would compute it itself, in another dtype. These are the methods it defers to.
_REFLECTED = {
    "add": "__radd__",
    "subtract": "__rsub__",
    "multiply": "__rmul__",
    "true_divide": "__rtruediv__",
    "divide": "__rtruediv__",
    "floor_divide": "__rfloordiv__",
    "remainder": "__rmod__",
    "power": "__rpow__",
    "matmul": "__rmatmul__",
    "less": "__gt__",
    "less_equal": "__ge__",
    "greater": "__lt__",
    "greater_equal": "__le__",
    "equal": "__eq__",
    "not_equal": "__ne__",
}

_OPERATOR_OPCODES = {
    dis.opmap[name]
    for name in ("BINARY_OP", "COMPARE_OP", "BINARY_OP_INPLACE_ADD_UNICODE", "BINARY_OP_EXTEND")
    if name in dis.opmap
}


def _called_by_operator(frame: FrameType) -> bool:
    return frame.f_code.co_code[frame.f_lasti] in _OPERATOR_OPCODES


class UfuncBridge:
    """Installs and removes the hook. `on_call(torch_function, inputs, result)` is told of every ufunc call;
    `quiet` is entered while NumPy converts the tensors, so that the conversions are not recorded as well."""

    def __init__(
        self,
        on_call: Callable[[Callable[..., Any], tuple[Any, ...], Any], None],
        quiet: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._on_call = on_call
        self._quiet = quiet

    def install(self) -> None:
        on_call, quiet = self._on_call, self._quiet

        def __array_ufunc__(
            self: torch.Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
        ) -> Any:
            outs = kwargs.get("out", ())
            if any(isinstance(out, torch.Tensor) for out in outs):
                raise TypeError("return arrays must be of ArrayType")
            if (
                method == "__call__"
                and not outs
                and len(inputs) == 2
                and not isinstance(inputs[0], torch.Tensor)
                and ufunc.__name__ in _REFLECTED
                and _called_by_operator(sys._getframe(1))
            ):
                return _deferred(_REFLECTED[ufunc.__name__], inputs)
            with quiet():
                plain = [np.asarray(x) if isinstance(x, torch.Tensor) else x for x in inputs]
                raw = getattr(ufunc, method)(*plain, **kwargs)
                if outs:
                    return raw
                # NumPy asks the input of highest priority to wrap the result; among tensors and arrays that is
                # the tensor, whose __array_wrap__ gives back a tensor.
                result = tuple(_wrap(self, r) for r in raw) if isinstance(raw, tuple) else _wrap(self, raw)
            function = torch_equivalent(ufunc)
            if method == "__call__" and function is not None and not kwargs and isinstance(result, torch.Tensor):
                on_call(function, inputs, result)
            return result

        torch.Tensor.__array_ufunc__ = __array_ufunc__  # type: ignore[attr-defined]

    def remove(self) -> None:
        if "__array_ufunc__" in torch.Tensor.__dict__:
            del torch.Tensor.__array_ufunc__  # type: ignore[attr-defined]


def _deferred(method: str, inputs: tuple[Any, ...]) -> Any:
    left, right = inputs
    result = getattr(right, method)(left)
    if result is NotImplemented:
        raise TypeError(
            f"unsupported operand type(s): '{type(left).__name__}' and '{type(right).__name__}'"
        )
    return result


def _wrap(tensor: torch.Tensor, raw: Any) -> Any:
    return tensor.__array_wrap__(np.asarray(raw))  # type: ignore[no-untyped-call]


class NotATensorError(TypeError):
    """An array that torch has no dtype for."""


def as_tensor(thing: Any) -> Any:
    """A copy of a NumPy array as a tensor; a NumPy number as a Python number."""
    if isinstance(thing, torch.Tensor) or not hasattr(thing, "__array_interface__"):
        return thing
    if thing.ndim == 0:
        return thing.item()
    try:
        return torch.from_numpy(np.array(thing))
    except TypeError as error:
        raise NotATensorError(str(error)) from error
