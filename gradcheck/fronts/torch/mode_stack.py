"""Takes a mode out of torch's stack of modes and puts it back, whatever modes of the program's lie above it.

A mode that is in the stack costs every torch call of the program a microsecond or two, also if it only hands the call
on. `torch.device(...)` as a context manager is such a mode of the program's: it must find the stack as it left it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_pop: Callable[[], Any] = torch._C._pop_torch_function_stack
_push: Callable[[Any], None] = torch._C._push_on_torch_function_stack
_at: Callable[[int], Any] = torch._C._get_function_stack_at
_length: Callable[[], int] = torch._C._len_torch_function_stack
in_transform: Callable[[], bool] = torch._C._are_functorch_transforms_active


def take_out(mode: TorchFunctionMode) -> int | None:
    """Its place in the stack, from the bottom; None if it is not there."""
    place = next((i for i in range(_length()) if _at(i) is mode), None)
    if place is not None:
        above = [_pop() for _ in range(_length() - place)]
        for other in reversed(above[:-1]):
            _push(other)
    return place


def put_back(mode: TorchFunctionMode, place: int) -> None:
    """At that place, or on top if the stack has become lower."""
    above = [_pop() for _ in range(max(0, _length() - place))]
    _push(mode)
    for other in reversed(above):
        _push(other)
