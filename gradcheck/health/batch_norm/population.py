"""The statistics of the population at every batch normalisation: of the trained network, over the training data."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Value
from gradcheck.graph.match.normalisation import BatchNorm
from gradcheck.health.context import PassContext
from gradcheck.health.network.normalising import Normaliser, entry_tensor
from gradcheck.health.sweep import Batch, Sweep
from gradcheck.replay.runner import ReplayError

_BATCHES = 64


@dataclass(frozen=True)
class Population:
    """Per feature; `count` numbers were looked at."""

    mean: torch.Tensor
    variance: torch.Tensor
    count: int


class _Visitor:
    def __init__(self, layers: list[BatchNorm], mutated: set[Value]) -> None:
        self._layers = [(layer, Normaliser(layer)) for layer in layers]
        self._mutated = mutated
        self.sums: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in layers]
        self.counts = [0 for _ in layers]

    def batch(self, batch: Batch) -> None:
        for number, (layer, normaliser) in enumerate(self._layers):
            try:
                entry = entry_tensor(layer, batch.tensor, self._mutated).detach().double()
            except ReplayError:
                continue
            rows = normaliser.per_feature(entry)
            self.sums[number].append((rows.mean(0), rows.var(0, unbiased=False)))
            self.counts[number] += rows.shape[0]


def populations(
    context: PassContext, layers: list[BatchNorm], replacing: dict[Value, torch.Tensor]
) -> list[Population | None]:
    """One for each layer; None where its input could not be replayed."""
    visitor = _Visitor(layers, context.mutated)
    Sweep(context, _BATCHES, replacing).run([visitor])
    found: list[Population | None] = []
    for sums, count in zip(visitor.sums, visitor.counts, strict=True):
        if not sums:
            found.append(None)
            continue
        means = torch.stack([mean for mean, _ in sums])
        within = torch.stack([variance for _, variance in sums]).mean(0)
        found.append(Population(means.mean(0), within + means.var(0, unbiased=False), count))
    return found
