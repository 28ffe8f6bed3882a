"""How far the network was trained, and where it ends sequences, over minibatches of its training data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.health.context import PassContext
from gradcheck.health.network.trained import parameters_after
from gradcheck.health.samples.network import (
    Predictions,
    TrainedNetwork,
    entropy_of,
    find_predictions,
    source_of,
)
from gradcheck.health.samples.records import Training
from gradcheck.health.samples.sequences import Token
from gradcheck.health.samples.training_data import Rows, TrainingData, from_padded, from_rows, from_strings
from gradcheck.health.samples.vocabulary import Vocabulary, find_vocabulary
from gradcheck.health.sweep import Sweep
from gradcheck.replay.runner import attempted

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
        chosen = torch.arange(total)
        if network.rows != total:
            chosen = torch.randint(0, total, (network.rows,), generator=generator)
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
    losses: list[torch.Tensor] = []
    read: list[torch.Tensor] = []
    sweep = Sweep(context, _BATCHES)
    for _, replay in sweep:
        output, wanted = (attempted(replay.tensor, v) for v in (predictions.output, predictions.targets))
        if output is not None and wanted is not None:
            kept = wanted.reshape(-1)[wanted.reshape(-1) >= 0]
            found = predictions.log_probabilities(output)[wanted.reshape(-1) >= 0]
            losses.append(-found.gather(1, kept[:, None].long())[:, 0])
            read.append(wanted.reshape(-1))
    if not losses:
        return Training(context.iteration, reason="the training step could not be replayed")
    seen = torch.cat(read) if targets is None else targets
    return _training(torch.cat(losses), sweep.record.batches, seen, context.iteration)


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


class Learned:
    def __init__(self, context: PassContext | None, namespace: Mapping[str, object]) -> None:
        self._context = context
        self.namespace = namespace
        self.iteration = None if context is None else context.iteration
        self.predictions = None if context is None else find_predictions(context)

    def vocabulary(self, classes: int) -> Vocabulary:
        return find_vocabulary(self.namespace, classes)

    @property
    def no_predictions(self) -> str:
        if self._context is None:
            return "no training step could be replayed"
        return "the loss of the training step is no cross-entropy of integer targets"

    def data(self, hint: Token | None) -> tuple[TrainingData | None, Value | None]:
        """The training sequences, and the value of the step that holds the contexts, if they are rows."""
        predictions, context = self.predictions, self._context
        if predictions is None or context is None:
            return None, None
        ops = context.forward.ops
        targets = source_of(ops, predictions.targets)
        if targets is None:
            return None, None
        shown = context.judgement.names.shown
        for value in _integers(ops, predictions.targets):
            contexts = source_of(ops, value)
            if contexts is None or contexts.tensor.shape[:1] != targets.tensor.shape[:1]:
                continue
            made = from_padded(contexts.tensor, targets.tensor)
            if made is None and targets.tensor.ndim == 1:
                made = from_rows(contexts.tensor, targets.tensor, hint)
            if made is not None:
                names = f"`{shown(contexts.value)}` and `{shown(targets.value)}`"
                made.source = f"the {len(made.sequences):,} sequences that the rows of {names} spell"
                return made, value
        return from_strings(self.namespace, int((targets.tensor >= 0).sum())), None

    def trained(
        self, data: TrainingData | None, contexts: Value | None
    ) -> tuple[Trained, TrainedNetwork | None]:
        predictions, context = self.predictions, self._context
        if predictions is None or context is None:
            return Trained(Training(self.iteration, reason=self.no_predictions)), None
        if data is not None and data.rows is not None and contexts is not None:
            after, all_known = parameters_after(context.judgement.whole, context.judged.plan)
            network = TrainedNetwork(context, predictions, contexts, after if all_known else {})
            end = data.end if isinstance(data.end, int) else None
            trained = trained_on_rows(network, data.rows, end, context.iteration)
            if trained is not None:
                return trained, network if all_known else None
        targets = source_of(context.forward.ops, predictions.targets)
        all_targets = None if targets is None else targets.tensor
        return Trained(trained_on_sweep(context, predictions, all_targets)), None


def _integers(ops: Sequence[Op], targets: Value) -> list[Value]:
    found = dict.fromkeys(v for op in ops for v in (*op.inputs, *op.outputs))
    return [v for v in found if v is not targets and v.shape and v.shape[0] == targets.shape[0]]
