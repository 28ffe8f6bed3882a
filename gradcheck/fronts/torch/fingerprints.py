"""Takes the fingerprint of a tensor: it reads a few elements where they are in memory, because each torch call that would
do so costs several times as much."""

from __future__ import annotations

import ctypes
from typing import Any

import torch

from gradcheck.fronts.fingerprint import ELEMENTS, Fingerprint

_TYPES: dict[torch.dtype, Any] = {
    torch.float32: ctypes.c_float,
    torch.float64: ctypes.c_double,
    torch.int64: ctypes.c_int64,
    torch.int32: ctypes.c_int32,
    torch.int16: ctypes.c_int16,
    torch.uint8: ctypes.c_uint8,
    torch.int8: ctypes.c_int8,
    torch.bool: ctypes.c_uint8,
}
_TENSORS = (torch.Tensor, torch.nn.Parameter)

# By dtype and number of elements: the type of such an array in memory, and how far apart the elements that are read are.
_arrays: dict[tuple[torch.dtype, int], tuple[Any, int]] = {}


def fingerprint(result: Any) -> Fingerprint | None:
    """Of a tensor, or of the first of several; None if it cannot be read from memory as it is."""
    kind = type(result)
    if kind is not torch.Tensor and kind not in _TENSORS:
        return fingerprint(result[0]) if isinstance(result, (tuple, list)) and result else None
    dtype = result.dtype
    element = _TYPES.get(dtype)
    if element is None or not result.is_cpu or result.layout is not torch.strided:
        return None
    count = result.numel()
    address = result.data_ptr()
    if not address:  # without elements
        return None
    if result.is_contiguous():
        array, apart = _arrays.get((dtype, count)) or _array(dtype, count)
        return Fingerprint(dtype, count, apart, array.from_address(address)[::apart])
    last = sum([(size - 1) * stride for size, stride in zip(result.shape, result.stride(), strict=True)])
    ends = [element.from_address(at).value for at in (address, address + last * ctypes.sizeof(element))]
    return Fingerprint(dtype, count, count - 1, ends)


def _array(dtype: torch.dtype, count: int) -> tuple[Any, int]:
    if len(_arrays) > 10_000:
        _arrays.clear()
    found = _arrays[dtype, count] = _TYPES[dtype] * count, max(1, -(-count // ELEMENTS))
    return found
