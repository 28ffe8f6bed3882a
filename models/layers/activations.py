"""Activations: each output depends on one input only, so a gradient is a product, element by element."""

import torch
from torch import Tensor
from torch.nn import functional as F

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
        if not 0 <= slope <= 1:
            raise ValueError(f"the slope of a LeakyReLU lies between 0 and 1, not at {slope}")
        self.slope = slope

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (n, features) -> outputs (n, features)."""
        self.inputs = inputs
        return F.leaky_relu(inputs, self.slope)

    def backward(self, d_outputs: Tensor) -> Tensor:
        """d_outputs (n, features) -> d_inputs (n, features). At exactly 0 the slope is taken, as torch does."""
        # the sign is 1, 0 or -1; with the slope as its lower limit it is the derivative, sooner than by torch.where
        self.d_inputs = d_outputs * self.inputs.sign().clamp(min=self.slope)
        return self.d_inputs
