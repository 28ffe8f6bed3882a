"""The network as it was trained: which value of the recorded step holds its predictions, how good they are, and what
it predicts for other contexts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.health.context import PassContext
from gradcheck.ops import Family
from gradcheck.replay.runner import ReplayError, Runner

_SAME = 1e-6  # relative: a cross-entropy that is computed again in float64
_MOST_NATS = 1e6


@dataclass(frozen=True)
class Predictions:
    """Of one step: `output` holds a row of scores or log-probabilities per target, or of `targets` one each; their
    cross-entropy is a number that the step itself computes, which proves it."""

    output: Value
    targets: Value
    classes: int
    probabilities: bool = False  # `output` holds probabilities, not their logarithms

    def log_probabilities(self, output: torch.Tensor) -> torch.Tensor:
        output = output.reshape(-1, self.classes)
        return output.log() if self.probabilities else functional.log_softmax(output, 1)

    def loss(self, output: torch.Tensor, targets: torch.Tensor) -> float:
        targets = targets.reshape(-1)
        kept = targets >= 0  # what is negative is padding
        return float(functional.nll_loss(self.log_probabilities(output)[kept], targets[kept].long()))


def find_predictions(context: PassContext) -> Predictions | None:
    """The step's predictions of a next token. None if its loss is no cross-entropy of integer targets."""
    stretch = context.forward
    values = list(dict.fromkeys(v for op in stretch.ops for v in (*op.outputs, *op.inputs)))
    tensors = {value: t for value in values if (t := stretch.known(value)) is not None}
    losses = {abs(float(t.detach())) for t in tensors.values() if t.numel() == 1 and t.is_floating_point()}
    integers = [v for v, t in tensors.items() if _is_integer(t) and t.numel() > 1]
    scores = [v for v, t in tensors.items() if t.is_floating_point() and t.ndim >= 2 and t.shape[-1] > 1]
    for output in reversed(scores):
        rows = tensors[output].numel() // tensors[output].shape[-1]
        for targets in integers:
            wanted = tensors[targets]
            classes = tensors[output].shape[-1]
            if wanted.numel() != rows or int(wanted.max()) >= classes:
                continue
            for probabilities in (False, True):
                found = Predictions(output, targets, classes, probabilities)
                if _is_among(found.loss(tensors[output].detach(), wanted), rows, losses):
                    return found
    return None


def _is_among(loss: float, rows: int, losses: set[float]) -> bool:
    """As a mean or a sum."""
    same = (math.isclose(loss * n, other, rel_tol=_SAME) for n in (1, rows) for other in losses)
    return 1e-9 < loss < _MOST_NATS and any(same)


def _is_integer(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() and not tensor.is_complex() and tensor.dtype is not torch.bool


@dataclass(frozen=True)
class Source:
    """Where the rows of a minibatch came from: `tensor` holds all of them."""

    value: Value
    tensor: torch.Tensor


def source_of(steps: Sequence[Op], value: Value) -> Source | None:
    """The data set that a value of the step holds rows of; the value itself if it is given to the step as it is."""
    if value.data is not None and value.producer is None:
        return Source(value, value.data)
    op = value.producer
    if op is None or op not in steps or not op.args or not isinstance(op.args[0], Value):
        return None
    taken = op.args[0]
    if op.operation in (ops.GETITEM, ops.SELECT):
        return (
            Source(taken, taken.data)
            if taken.data is not None and taken.data.shape[1:] == value.shape[1:]
            else None
        )
    return (
        source_of(steps, taken) if op.operation.family is Family.SAME or op.operation is ops.RESHAPE else None
    )


class TrainedNetwork:
    """Predicts with the forward pass of the recorded step, at the parameters `after` it."""

    def __init__(
        self,
        context: PassContext,
        predictions: Predictions,
        contexts: Value,
        after: Mapping[Value, torch.Tensor],
    ) -> None:
        self._context = context
        self._predictions = predictions
        self._contexts = contexts
        start = context.judge.run.start_tensors()
        self._start = {value: tensor for value, tensor in start.items() if value not in after}
        self._after = dict(after)

    @property
    def rows(self) -> int:
        return self._contexts.shape[0]

    def log_probabilities(self, contexts: torch.Tensor, targets: torch.Tensor) -> torch.Tensor | None:
        """Of the next token after each of `rows` contexts; None where the step cannot be replayed on them."""
        made = {
            **self._after,
            # Contexts of one token may be a plain row.
            self._contexts: contexts.reshape(self._contexts.shape),
            self._predictions.targets: targets.reshape(self._predictions.targets.shape),
        }
        replay = Runner(
            self._context.dtype,
            overrides=made,
            start_from={value: t for value, t in self._start.items() if value not in made},
        )
        try:
            with torch.no_grad():
                replay.run(self._context.forward.ops)
                return self._predictions.log_probabilities(replay.tensor(self._predictions.output))
        except (ReplayError, RuntimeError, IndexError):
            return None


def entropy_of(targets: torch.Tensor) -> float:
    """The cross-entropy of guessing each of them by its frequency, in nats."""
    targets = targets.reshape(-1)
    shares = torch.bincount(targets[targets >= 0].long()).double()
    shares = shares[shares > 0] / shares.sum()
    return float(-(shares * shares.log()).sum())
