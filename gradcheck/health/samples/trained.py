"""How far the network was trained, and where it ends sequences, over minibatches of its training data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from gradcheck.health.context import PassContext
from gradcheck.health.samples.network import Predictions, TrainedNetwork, entropy_of
from gradcheck.health.samples.records import Training
from gradcheck.health.samples.training_data import Rows
from gradcheck.health.sweep import Batch, Sweep
from gradcheck.replay.runner import ReplayError

_BATCHES = 64
_ENOUGH_AT_A_POSITION = 20  # contexts, for a mean
_MOST_ROWS = 50_000


@dataclass
class Trained:
    training: Training
    ends: list[float] | None = None  # mean probability of the end by position, on training contexts


def trained_on_rows(
    network: TrainedNetwork, rows: Rows, end: int | None, iteration: int | None
) -> Trained | None:
    """Over minibatches of freshly chosen rows. None if the step cannot be replayed on them."""
    generator = torch.Generator().manual_seed(0)
    total = rows.targets.shape[0]
    batches = 1 if network.rows >= total else min(_BATCHES, math.ceil(_MOST_ROWS / network.rows))
    losses, ends, positions = [], [], []
    for _ in range(batches):
        chosen = torch.arange(total) if network.rows == total else _some(total, network.rows, generator)
        found = network.log_probabilities(rows.contexts[chosen], rows.targets[chosen])
        if found is None:
            return None
        losses.append(-found.gather(1, rows.targets[chosen][:, None].long())[:, 0])
        positions.append(rows.positions[chosen])
        if end is not None:
            ends.append(found[:, end].exp())
    training = _training(torch.cat(losses), batches, rows.targets, iteration)
    by_position = _by_position(torch.cat(positions), torch.cat(ends)) if ends else None
    return Trained(training, by_position)


def trained_on_sweep(
    context: PassContext, predictions: Predictions, targets: torch.Tensor | None
) -> Training:
    """Over the minibatches of a data sweep. `targets` are those of the whole data set, if they are known."""
    watching = _Losses(predictions)
    record = Sweep(context, _BATCHES).run([watching])
    if not watching.losses:
        return Training(context.iteration, reason="the training step could not be replayed")
    seen = torch.cat(watching.targets) if targets is None else targets
    return _training(torch.cat(watching.losses), record.batches, seen, context.iteration)


class _Losses:
    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions
        self.losses: list[torch.Tensor] = []
        self.targets: list[torch.Tensor] = []

    def batch(self, batch: Batch) -> None:
        try:
            output = batch.tensor(self._predictions.output)
            targets = batch.tensor(self._predictions.targets).reshape(-1)
        except ReplayError:
            return
        kept = targets >= 0
        found = self._predictions.log_probabilities(output)[kept]
        self.losses.append(-found.gather(1, targets[kept][:, None].long())[:, 0])
        self.targets.append(targets[kept])


def _training(losses: torch.Tensor, batches: int, targets: torch.Tensor, iteration: int | None) -> Training:
    losses = losses.double()
    error = float(losses.std() / math.sqrt(len(losses))) if len(losses) > 1 else 0.0
    return Training(iteration, float(losses.mean()), error, batches, entropy_of(targets))


def _by_position(positions: torch.Tensor, ends: torch.Tensor) -> list[float] | None:
    """Until too few sequences are that long."""
    found = []
    for position in range(int(positions.max()) + 1):
        there = ends[positions == position]
        if len(there) < _ENOUGH_AT_A_POSITION:
            break
        found.append(float(there.mean()))
    return found or None


def _some(total: int, number: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, total, (number,), generator=generator)
