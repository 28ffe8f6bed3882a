"""A three-layer network that is wrong on purpose: the faults of day70.py, each behind a switch of its own."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from models.evaluation import output_statistics
from models.layers import BatchNorm1d
from models.mlp import MLP
from models.settings import Settings
from models.trainer import Trainer


@dataclass(frozen=True)
class Faults:
    """Which of the faults are in; none by default."""

    multiplies_by_std: bool = False  # the second BatchNorm1d, instead of dividing by it
    skips_backward: bool = False  # the gradient goes around the second BatchNorm1d
    stale_calibration: bool = False  # its statistics come from a forward without the first BatchNorm1d
    small_steps: bool = False  # a learning rate of 0.0005


class MultiplyingBatchNorm1d(BatchNorm1d):
    """BatchNorm1d with an exponent of +0.5 where -0.5 is meant; as in day70.py, backward keeps its formula."""

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (n, features) -> outputs (n, features)."""
        super().forward(inputs)
        variance = self.inverse_std**-2
        self.inverse_std = variance.sqrt()
        self.normalised = self.normalised * variance
        return torch.addcmul(self.beta, self.gamma, self.normalised)


class FaultyMLP(MLP):
    """An MLP with those faults in its second BatchNorm1d."""

    def __init__(self, faults: Faults, **options: Any) -> None:
        super().__init__(**options)
        self.faults = faults
        self.first, self.second = (i for i, part in enumerate(self.layers) if isinstance(part, BatchNorm1d))
        if faults.multiplies_by_std:
            right = self.layers[self.second]
            assert isinstance(right, BatchNorm1d)
            self.layers[self.second] = MultiplyingBatchNorm1d(len(right.gamma), right.gamma.dtype)

    def backward(self, d_logits: Tensor) -> None:
        """d_logits (n, letters); sets the gradient of every parameter."""
        gradient = d_logits
        for i, layer in reversed(list(enumerate(self.layers))):
            d_inputs = layer.backward(gradient)
            if not (i == self.second and self.faults.skips_backward):
                gradient = d_inputs
        self.embedding.backward(gradient)

    def calibrate_stale(self, contexts: Tensor) -> None:
        """Overwrite the statistics of the second BatchNorm1d; contexts (n, context)."""
        self.eval()
        without_first = [*self.layers[: self.first], *self.layers[self.first + 1 : self.second]]
        second = self.layers[self.second]
        assert isinstance(second, BatchNorm1d)
        mean, variance = output_statistics(self.embedding, without_first, contexts)
        second.running_mean.copy_(mean)
        second.running_variance.copy_(variance)


def train_with(faults: Faults, settings: Settings, words: list[str]) -> Trainer:
    """A whole run of a three-layer network with those faults."""
    if faults.small_steps:
        settings = replace(settings, lr=0.0005)
    trainer = Trainer(settings, words, make_model=lambda **options: FaultyMLP(faults, **options))
    trainer.run()
    if faults.stale_calibration:
        assert isinstance(trainer.model, FaultyMLP)
        trainer.model.calibrate_stale(trainer.train_data.contexts)
    return trainer
