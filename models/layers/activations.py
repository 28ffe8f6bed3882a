"""Activations: each output depends on one input only, so a gradient is a product, element by element."""

import torch
from torch import Tensor

from models.layers.layer import Layer


class Tanh(Layer):
    """outputs = tanh(inputs)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (n, features) -> outputs (n, features)."""
        self.outputs = torch.tanh(inputs)
        return self.outputs

    def backward(self, d_outputs: Tensor) -> Tensor:
        """d_outputs (n, features) -> d_inputs (n, features) = d_outputs * (1 - outputs^2), as tanh' = 1 - tanh^2."""
        # one tensor less to write than with the formula as it stands
        self.d_inputs = torch.addcmul(d_outputs, d_outputs, self.outputs.square(), value=-1)
        return self.d_inputs


class LeakyReLU(Layer):
    """output = input where it is positive, slope * input elsewhere (Maas et al. 2013)."""

    def __init__(self, slope: float = 0.01) -> None:
        # max(input, slope * input) in forward is the leaky ReLU for no other slope
        if not 0 <= slope <= 1:
            raise ValueError(f"the slope of a LeakyReLU lies between 0 and 1, not at {slope}")
        self.slope = slope

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (n, features) -> outputs (n, features)."""
        self.inputs = inputs
        return torch.maximum(inputs, self.slope * inputs)

    def backward(self, d_outputs: Tensor) -> Tensor:
        """d_outputs (n, features) -> d_inputs (n, features). At exactly 0 the slope is taken, as torch does."""
        self.d_inputs = torch.where(self.inputs > 0, d_outputs, self.slope * d_outputs)
        return self.d_inputs
