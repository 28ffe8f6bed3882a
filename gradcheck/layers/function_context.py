"""The `ctx` of an autograd Function, for calling its `forward` and `backward` one after the other by hand."""

from typing import Any

import torch

NO_SUCH = "'ctx' object has no attribute"


class FunctionContext:
    """Keeps whatever is set on it, as autograd's own does."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.saved_tensors: tuple[Any, ...] = ()
        self.not_differentiable: tuple[Any, ...] = ()

    def called_with(self, inputs: tuple[Any, ...]) -> None:
        self.needs_input_grad = tuple(
            isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())
            for value in inputs
        )

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{NO_SUCH} {name!r}")  # as autograd's own says it

    def save_for_backward(self, *tensors: Any) -> None:
        """What is no tensor, autograd refuses: a guess that is none is refused here too."""
        for place, saved in enumerate(tensors):
            if saved is not None and not isinstance(saved, torch.Tensor):
                kind = type(saved).__name__
                raise TypeError(
                    f"save_for_backward can only save tensors, but argument {place} is of type {kind}"
                )
        self.saved_tensors = tensors

    @property
    def saved_variables(self) -> tuple[Any, ...]:
        """Its name in the first versions of torch, which autograd's own still knows."""
        return self.saved_tensors

    def save_for_forward(self, *tensors: Any) -> None:
        pass

    def mark_dirty(self, *tensors: Any) -> None:
        pass

    def mark_non_differentiable(self, *tensors: Any) -> None:
        self.not_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        pass
