"""NumPy ufuncs on torch tensors, seen as what they compute.

`np.maximum(t, 0)` on a torch tensor reaches torch only as conversions: NumPy asks for `t.__array__()`, computes,
and hands the result to `t.__array_wrap__`. The mathematics is invisible, but NumPy offers that last method a
context, which says which ufunc it was and what it was called with. Torch's own method refuses the context, and
NumPy asks again without; while recording, it is read before it is refused. Nothing else changes: an
`__array_ufunc__` on tensors, the documented way, would also change what `ndarray * tensor` means.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

# Those that torch does not know by the same name, or knows as something else.
_SPECIAL: dict[str, Callable[..., Any]] = {
    "absolute": torch.abs, "fabs": torch.abs, "power": torch.pow, "float_power": torch.pow, "conjugate": torch.conj,
    "equal": torch.eq, "invert": torch.bitwise_not,
}  # fmt: skip

# NumPy takes a number on either side, these torch functions on neither: `np.maximum(0, t)`.
_REFUSE_NUMBERS = ("maximum", "minimum", "fmax", "fmin", "logaddexp", "logaddexp2", "arctan2", "hypot")


def _taking_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return function(*(a if isinstance(a, torch.Tensor) else torch.tensor(a) for a in arguments))

    call.__name__ = call.__qualname__ = function.__name__
    return call


_TAKING_NUMBERS = {name: _taking_numbers(getattr(torch, name)) for name in _REFUSE_NUMBERS}


def torch_equivalent(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """The torch function that computes what `ufunc` does, elementwise and with broadcasting."""
    found = _SPECIAL.get(ufunc.__name__) or getattr(torch, ufunc.__name__, None)
    return found if callable(found) else None


def numpy_function(ufunc: np.ufunc, arguments: tuple[Any, ...]) -> Callable[..., Any] | None:
    """The torch function for a call of `ufunc` with these arguments."""
    if any(isinstance(argument, (int, float)) for argument in arguments):
        return _TAKING_NUMBERS.get(ufunc.__name__, torch_equivalent(ufunc))
    return torch_equivalent(ufunc)


class UfuncBridge:
    """Installs and removes the hook. `on_call(torch_function, inputs, result)` is called after every ufunc call."""

    def __init__(self, on_call: Callable[[Callable[..., Any], tuple[Any, ...], torch.Tensor], None]) -> None:
        self._on_call = on_call
        self._original: Any = None

    def install(self) -> None:
        original = self._original = torch.Tensor.__array_wrap__
        pending: Any = None

        def wrap(self: torch.Tensor, array: Any, *more: Any) -> Any:
            nonlocal pending
            if more:
                pending = more[0]
            # TypeError if it takes no context: NumPy asks again
            result = original(self, array, *more)  # type: ignore[no-untyped-call]
            context, pending = pending, None
            if context is not None:
                bridge._called(context, result)
            return result

        bridge = self
        wrap.__name__ = "__array_wrap__"
        wrap.__qualname__ = "Tensor.__array_wrap__"
        torch.Tensor.__array_wrap__ = wrap  # type: ignore[method-assign]

    def remove(self) -> None:
        if self._original is not None:
            torch.Tensor.__array_wrap__ = self._original  # type: ignore[method-assign]
            self._original = None

    def _called(self, context: tuple[np.ufunc, tuple[Any, ...], int], result: Any) -> None:
        ufunc, arguments, _ = context
        if ufunc.nout == 1 and len(arguments) == ufunc.nin and isinstance(result, torch.Tensor):
            function = numpy_function(ufunc, arguments)
            if function is not None:
                self._on_call(function, arguments, result)


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
