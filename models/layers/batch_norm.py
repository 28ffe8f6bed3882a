"""Batch normalisation over a batch of feature vectors."""

from typing import ClassVar

import torch
from torch import Tensor

from models.layers.layer import Layer


class BatchNorm1d(Layer):
    """gamma, beta, running_mean, running_variance: (features) each. Ioffe and Szegedy 2015, algorithm 1.

    As in the paper (and in torch) the batch is normalised by its own variance, over n; what is kept for
    evaluation estimates the variance of the population, over n - 1.
    """

    parameter_names: ClassVar = ("gamma", "beta")
    statistic_names: ClassVar = ("running_mean", "running_variance")

    def __init__(self, features: int, dtype: torch.dtype = torch.float32) -> None:
        self.gamma = torch.ones(features, dtype=dtype)
        self.beta = torch.zeros(features, dtype=dtype)
        self.running_mean = torch.zeros(features, dtype=dtype)
        self.running_variance = torch.ones(features, dtype=dtype)
        self.momentum = 0.1
        self.epsilon = 1e-5

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (n, features) -> outputs (n, features)."""
        if self.training:
            # not torch.var: over the rows of a small batch it takes five times as long
            mean = inputs.mean(0)
            centred = inputs - mean
            variance = centred.square().mean(0)
            self.keep_statistics(mean, variance, len(inputs))
        else:
            centred = inputs - self.running_mean
            variance = self.running_variance
        self.inverse_std = (variance + self.epsilon).rsqrt()
        self.normalised = centred * self.inverse_std
        return torch.addcmul(self.beta, self.gamma, self.normalised)

    def backward(self, d_outputs: Tensor) -> Tensor:
        """d_outputs (n, features) -> d_inputs (n, features); sets d_gamma and d_beta.

        The paper gives the gradient of the mean and of the variance (section 3); put together they are what
        is taken off each row here: the mean of d_outputs, and the part of it that runs along `normalised`.
        """
        n = len(d_outputs)
        self.d_gamma = (d_outputs * self.normalised).sum(0)
        self.d_beta = d_outputs.sum(0)
        if not self.training:  # the statistics are constants: nothing flows through them
            return d_outputs * (self.gamma * self.inverse_std)
        through_statistics = torch.addcmul(self.d_beta, self.normalised, self.d_gamma)
        self.d_inputs = d_outputs.sub(through_statistics, alpha=1 / n) * (self.gamma * self.inverse_std)
        return self.d_inputs

    def keep_statistics(self, mean: Tensor, variance: Tensor, n: int) -> None:
        """Move the running statistics towards those of a batch of n rows: mean, variance (features)."""
        if n < 2:
            raise ValueError("BatchNorm1d cannot train on a batch of one: its variance says nothing")
        self.running_mean.lerp_(mean, self.momentum)
        self.running_variance.lerp_(variance * (n / (n - 1)), self.momentum)
