"""Dropout: in training each value is kept with probability 1 - rate."""

import torch
from torch import Tensor

from models.layers.layer import Layer


class Dropout(Layer):
    """What is kept is scaled by 1 / (1 - rate), so that evaluation needs no scaling (Srivastava et al. 2014)."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate lies in 0 <= rate < 1, not at {rate}")
        self.rate = rate
        self.generator = generator

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (n, features) -> outputs (n, features); in evaluation they are the same tensor."""
        if not self.training:
            return inputs
        kept = torch.rand(inputs.shape, generator=self.generator) >= self.rate
        self.mask = kept.to(inputs.dtype) / (1 - self.rate)
        return inputs * self.mask

    def backward(self, d_outputs: Tensor) -> Tensor:
        """d_outputs (n, features) -> d_inputs (n, features), through the mask that forward drew."""
        if not self.training:
            return d_outputs
        self.d_inputs = d_outputs * self.mask
        return self.d_inputs
