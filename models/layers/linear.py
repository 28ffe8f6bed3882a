"""outputs = inputs @ weight + bias."""

from typing import ClassVar

import torch
from torch import Tensor

from models.layers.layer import Layer


class Linear(Layer):
    """weight (features in, features out), bias (features out)."""

    parameter_names: ClassVar = ("weight", "bias")

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = weight
        self.bias = bias

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (n, features in) -> outputs (n, features out)."""
        self.inputs = inputs
        return torch.addmm(self.bias, inputs, self.weight)

    def backward(self, d_outputs: Tensor) -> Tensor:
        """d_outputs (n, features out) -> d_inputs (n, features in); sets d_weight and d_bias.

        output_ik = sum_j input_ij weight_jk + bias_k: every gradient is the product of the two tensors that
        have the indices it lacks.
        """
        self.d_weight = self.inputs.T @ d_outputs
        self.d_bias = d_outputs.sum(0)
        self.d_inputs = d_outputs @ self.weight.T
        return self.d_inputs


class LinearWithoutBias(Layer):
    """outputs = inputs @ weight, for use before a BatchNorm1d.

    BatchNorm1d subtracts the mean and with it any bias, so the gradient of a bias there is zero: it would
    never learn, only drift with rounding errors.
    """

    parameter_names: ClassVar = ("weight",)

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (n, features in) -> outputs (n, features out)."""
        self.inputs = inputs
        return inputs @ self.weight

    def backward(self, d_outputs: Tensor) -> Tensor:
        """d_outputs (n, features out) -> d_inputs (n, features in); sets d_weight."""
        self.d_weight = self.inputs.T @ d_outputs
        self.d_inputs = d_outputs @ self.weight.T
        return self.d_inputs
