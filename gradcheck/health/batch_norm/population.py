"""The statistics of the population at every batch normalisation: of the trained network, over the training data."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Value
from gradcheck.health.context import PassContext
from gradcheck.health.network.normalising import Normaliser
from gradcheck.health.sweep import Batch, Sweep
from gradcheck.replay.runner import ReplayError

_BATCHES = 64


@dataclass(frozen=True)
class Population:
    """Per feature; `count` numbers were looked at."""

    mean: torch.Tensor
    variance: torch.Tensor
    count: int


class _Entries:
    """The inputs of one layer over a sweep."""

    def __init__(self, normaliser: Normaliser) -> None:
        self._normaliser = normaliser
        self._means: list[torch.Tensor] = []
        self._variances: list[torch.Tensor] = []
        self._count = 0

    def batch(self, batch: Batch) -> None:
        try:
            rows = self._normaliser.per_feature(self._normaliser.entry(batch.tensor))
        except ReplayError:
            return
        self._means.append(rows.mean(0))
        self._variances.append(rows.var(0, unbiased=False))
        self._count += rows.shape[0]

    def population(self) -> Population | None:
        if not self._means:
            return None
        means = torch.stack(self._means)
        within = torch.stack(self._variances).mean(0)
        return Population(means.mean(0), within + means.var(0, unbiased=False), self._count)


def populations(context: PassContext, replacing: dict[Value, torch.Tensor]) -> list[Population | None]:
    """One for each batch normalisation of a step; None where its input could not be replayed."""
    entries = [_Entries(Normaliser(layer, context.mutated)) for layer in context.batch_norms]
    Sweep(context, _BATCHES, replacing).run(entries)
    return [each.population() for each in entries]
