"""The floating type of a replay: what takes the place of a recorded type or device among the arguments of a call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_COMPLEX_OF = {torch.float32: torch.complex64, torch.float64: torch.complex128}
_DEVICES = {"cuda", "mps", "xpu"}
_TENSOR_TYPES = {
    "FloatTensor": torch.float32,
    "DoubleTensor": torch.float64,
    "HalfTensor": torch.float16,
    "BFloat16Tensor": torch.bfloat16,
}


@dataclass(frozen=True, slots=True)
class Precision:
    """An argument that names a floating or complex type, `was` in the program."""

    was: torch.dtype

    def of(self, dtype: torch.dtype | None) -> torch.dtype:
        """The type it is in a replay in `dtype`; None leaves it as it was."""
        if dtype is None:
            return self.was
        return _COMPLEX_OF.get(dtype, torch.complex128) if self.was.is_complex else dtype


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def without_precision(thing: Any) -> Any:
    """An argument, with a Precision for a floating type and the CPU for every device."""
    if isinstance(thing, torch.dtype):
        return Precision(thing) if thing in _FLOATS or thing.is_complex else thing
    if isinstance(thing, torch.device) or (isinstance(thing, str) and thing.split(":")[0] in _DEVICES):
        return torch.device("cpu")
    name = thing if isinstance(thing, str) else thing.__name__ if isinstance(thing, type) else ""
    if name and (isinstance(thing, type) or name.startswith("torch.")):
        named = _TENSOR_TYPES.get(name.rpartition(".")[2])
        return thing if named is None else Precision(named)
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
    return tensor.to(Precision(tensor.dtype).of(dtype)) if tensor.is_complex() else tensor
