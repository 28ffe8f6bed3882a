"""NumPy arrays as torch tensors in the same memory, so that aliasing, views and versions are what they are for torch."""

import struct
import weakref
from typing import Any

import numpy as np
import torch

from gradcheck.fronts.fingerprint import Fingerprint


def owner_of(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array whose memory it lies in. (What `as_strided` makes has it behind an object of NumPy's own.)"""
    base: Any = array
    while base is not None:
        array = base if isinstance(base, np.ndarray) else array
        base = getattr(base, "base", None)
    return array


def tensor_of(thing: Any) -> torch.Tensor | None:
    """In the same memory where torch allows it, otherwise a copy; None for what torch has no type for."""
    if isinstance(thing, torch.Tensor):
        return thing
    if not isinstance(thing, np.ndarray):
        return torch.tensor(thing, dtype=torch.float32 if isinstance(thing, np.float32) else torch.float64)
    try:
        owner = owner_of(thing)
        if not owner.flags.writeable or owner.dtype != thing.dtype or min(thing.strides, default=0) < 0:
            return torch.from_numpy(np.array(thing))
        whole = torch.from_numpy(owner)
        if owner is thing:
            return whole
        apart = thing.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        strides = [stride // thing.itemsize for stride in thing.strides]
        return whole.as_strided(thing.shape, strides, apart // thing.itemsize)
    except (TypeError, ValueError, RuntimeError):
        return None


def of_number(number: float | np.floating[Any]) -> Fingerprint:
    """The fingerprint of the tensor that it would be, without that tensor: programs that compute with single numbers
    compute with many."""
    if isinstance(number, np.float32):
        return Fingerprint(torch.float32, 4, number.tobytes())
    return Fingerprint(torch.float64, 8, struct.pack("d", number))


def shares_memory(one: Any, other: Any) -> bool:
    return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and owner_of(one) is owner_of(other)


class Held:
    """Of an array, a weak reference that gives it as a tensor."""

    __slots__ = ("_array",)

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = weakref.ref(array)

    def __call__(self) -> torch.Tensor | None:
        array = self._array()
        return None if array is None else tensor_of(array)


class Kept:
    """A number: it allows no weak reference, and costs nothing to keep."""

    __slots__ = ("number",)

    def __init__(self, number: Any) -> None:
        self.number = number

    def __call__(self) -> Any:
        return self.number

    def tensor(self) -> torch.Tensor | None:
        return tensor_of(self.number)
