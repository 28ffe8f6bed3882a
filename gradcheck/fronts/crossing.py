"""What goes from one library of arrays to the other is the same numbers: `t.numpy()`, `torch.from_numpy(a)`, `torch.tensor(a)`.

Autograd sees none of it. Where a gradient is written by hand, though, these are operations like any other: of a forward pass
in both libraries, the derivative goes through them. What cuts it is `detach`, as anywhere.
"""

from types import FrameType
from typing import Any, Protocol

import torch

from gradcheck.fronts.op import Kind, Op, Value


def in_same_memory(array: torch.Tensor) -> torch.Tensor:
    return array.view(array.shape)


in_same_memory.__name__ = "converted"


class Foreign(Protocol):
    """The values of another library's arrays."""

    def new_value(self, thing: Any, op: Op | None) -> Value: ...
    def argument(self, thing: Any) -> Any: ...


def conversion(index: int, source: Value, frame: FrameType) -> Op:
    return Op(index, in_same_memory, Kind.PURE, (source,), None, frame.f_code, frame.f_lasti)


def converted(op: Op, source: torch.Tensor | None, made: torch.Tensor | None) -> bool:
    """Completes `op`, a conversion of `source`, by what it has made; whether that lies in the same memory."""
    if source is None or made is None:
        return False
    if source.numel() and source.data_ptr() == made.data_ptr():
        return True
    if source.dtype == made.dtype:
        op.func = torch.clone
    else:
        op.func, op.args = torch.Tensor.to, (*op.args, made.dtype)
    return False
