"""The floating type of a replay: what takes the place of a recorded type or device among the arguments of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_COMPLEX_OF = {torch.float32: torch.complex64, torch.float64: torch.complex128}
_DEVICES = {"cuda", "mps", "xpu"}
_TYPE_NAMES = {"torch.FloatTensor", "torch.DoubleTensor", "torch.HalfTensor", "torch.cuda.FloatTensor"}
_TYPE_CLASSES = {"FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor"}


@dataclass(frozen=True, slots=True)
class Precision:
    """An argument that names a floating or complex type."""

    is_complex: bool = False

    def of(self, dtype: torch.dtype) -> torch.dtype:
        """The type it is in a replay in `dtype`."""
        return _COMPLEX_OF.get(dtype, torch.complex128) if self.is_complex else dtype


REAL = Precision()
COMPLEX = Precision(is_complex=True)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def without_precision(thing: Any) -> Any:
    """An argument, with REAL or COMPLEX for a floating type and the CPU for every device."""
    if isinstance(thing, torch.dtype):
        if thing in _FLOATS:
            return REAL
        return COMPLEX if thing.is_complex else thing
    if isinstance(thing, torch.device) or (isinstance(thing, str) and thing.split(":")[0] in _DEVICES):
        return torch.device("cpu")
    if isinstance(thing, str) and thing in _TYPE_NAMES:
        return REAL
    if isinstance(thing, type) and thing.__name__ in _TYPE_CLASSES:
        return REAL
    return thing


def in_precision(thing: Any, dtype: torch.dtype) -> Any:
    """An argument that names a floating type or a device, as it is in a replay in `dtype` on the CPU."""
    found = without_precision(thing)
    return found.of(dtype) if isinstance(found, Precision) else found


def converted(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A recorded tensor as a replay in `dtype` holds it: dense, and on the CPU."""
    if tensor.device.type != "cpu":
        tensor = tensor.cpu()
    if tensor.is_sparse:
        tensor = tensor.to_dense()
    if tensor.is_floating_point():
        return tensor.to(dtype)
    return tensor.to(COMPLEX.of(dtype)) if tensor.is_complex() else tensor
