"""The `ctx` of an autograd Function, for calling its `forward` and `backward` one after the other by hand."""

from __future__ import annotations

from typing import Any

import torch


class FunctionContext:
    """Keeps whatever is set on it, as autograd's own does."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.saved_tensors: tuple[Any, ...] = ()

    def called_with(self, inputs: tuple[Any, ...]) -> None:
        self.needs_input_grad = tuple(
            isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())
            for value in inputs
        )

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        pass

    def mark_dirty(self, *tensors: Any) -> None:
        pass

    def mark_non_differentiable(self, *tensors: Any) -> None:
        pass

    def set_materialize_grads(self, value: bool) -> None:
        pass
