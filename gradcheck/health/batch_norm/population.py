"""The statistics of the population at every batch normalisation: of the trained network, over the training data."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Value
from gradcheck.health.context import PassContext
from gradcheck.health.network.normalising import Normaliser
from gradcheck.health.sweep import Sweep
from gradcheck.replay.runner import ReplayError

_BATCHES = 64


@dataclass(frozen=True)
class Population:
    """Per feature; `count` numbers were looked at."""

    mean: torch.Tensor
    variance: torch.Tensor
    count: int


def populations(context: PassContext, replacing: dict[Value, torch.Tensor]) -> list[Population | None]:
    """One for each batch normalisation of a step; None where its input could not be replayed."""
    normalisers = [Normaliser(layer, context.mutated) for layer in context.batch_norms]
    entries: list[list[tuple[torch.Tensor, torch.Tensor, int]]] = [[] for _ in normalisers]
    for _, replay in Sweep(context, _BATCHES, replacing):
        for normaliser, found in zip(normalisers, entries, strict=True):
            with suppress(ReplayError):
                rows = normaliser.per_feature(normaliser.entry(replay.tensor))
                found.append((rows.mean(0), rows.var(0, unbiased=False), len(rows)))
    return [_population(*zip(*found, strict=True)) if found else None for found in entries]


def _population(
    means: Sequence[torch.Tensor], variances: Sequence[torch.Tensor], counts: Sequence[int]
) -> Population:
    each = torch.stack(list(means))
    within = torch.stack(list(variances)).mean(0)
    return Population(each.mean(0), within + each.var(0, unbiased=False), sum(counts))
