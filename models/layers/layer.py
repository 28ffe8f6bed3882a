"""What every layer has in common: named parameters, their gradients, and two modes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor


class Parametric:
    """Parameters are attributes; the gradient of `weight` is the attribute `d_weight`, set by `backward`."""

    parameter_names: ClassVar[tuple[str, ...]] = ()
    statistic_names: ClassVar[tuple[str, ...]] = ()  # kept in a checkpoint, but not trained
    training: bool = True

    def parameters(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each parameter with its gradient, which has the same shape."""
        for name in self.parameter_names:
            yield getattr(self, name), getattr(self, f"d_{name}")

    def state(self) -> dict[str, Tensor]:
        """The tensors that make this layer what it is, by name: the very tensors, not copies."""
        return {name: getattr(self, name) for name in self.parameter_names + self.statistic_names}


class Layer(Parametric, ABC):
    """One step of the network. `backward` belongs to the `forward` that came last."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (n, features in) -> outputs (n, features out)."""

    @abstractmethod
    def backward(self, d_outputs: Tensor) -> Tensor:
        """d_outputs (n, features out) -> d_inputs (n, features in); sets the gradient of each parameter."""
