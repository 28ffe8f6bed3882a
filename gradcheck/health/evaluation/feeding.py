"""Gives an evaluation the samples of the training batch, in the shape in which it takes its own."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.health.evaluation.training import ROWS, Masked, TrainingNetwork, in_rows, run_still
from gradcheck.health.network.runs import Entry, NetworkRun
from gradcheck.health.network.trained import TrainedParameters
from gradcheck.replay.runner import Runner
from gradcheck.replay.slices import read_from_outside

_MOST_ELEMENTS = 4_000_000  # of the largest tensor that an evaluation may make when it is replayed


class CannotFeedError(Exception):
    """Why the evaluation cannot be run on the training batch."""


@dataclass(frozen=True)
class Evaluation:
    """One run of the network after the training, with all the `steps` that compute it. `outside` are the tensors that
    it reads and that are no parameters."""

    run: NetworkRun
    steps: Sequence[Op]
    masked: Masked
    outside: dict[Value, torch.Tensor]


@dataclass(frozen=True)
class Outcome:
    """What the evaluation computed: for every value one row for each sample. `broken`: why there is none."""

    rows: dict[Value, torch.Tensor]
    broken: dict[Value, str]


class Feeder:
    """Replays an evaluation on the training batch."""

    def __init__(self, evaluation: Evaluation, training: TrainingNetwork, trained: TrainedParameters) -> None:
        """Raises CannotFeedError."""
        self._run, self._training = evaluation.run, training
        self._literal: dict[int, Value] = {}
        self._steps = [self._with_value(op) for op in evaluation.steps]
        parts = {op.index: part for op, part in evaluation.masked.items()}
        self._masked = {op: parts[op.index] for op in self._steps if op.index in parts}
        self.read = read_from_outside(evaluation.steps)
        self._known: dict[Value, torch.Tensor] = {}
        for value in self.read:
            if trained.of(value) is not None:
                tensor = trained.tensor(value)
                if tensor is None:
                    raise CannotFeedError("a view of a parameter that was made before is not followed")
                self._known[value] = tensor
            elif value in evaluation.outside:
                self._known[value] = evaluation.outside[value]
        self._inputs = self._aligned()
        rows = max(1, self._run.rows or 1)
        self._width = max((math.prod(v.shape) / rows for v in _computed(self._run)), default=1.0)

    def _with_value(self, op: Op) -> Op:
        """The op itself, or one that reads a value where the program wrote the indices out as numbers."""
        for entry in self._run.entries:
            if entry.op is op and isinstance(entry.data, list):
                value = Value(None, op.index, (len(entry.data),))
                args = (op.args[0], value, *op.args[2:])
                copy = Op(op.index, op.func, op.kind, args, op.kwargs, op.code, op.lasti)
                copy.out = op.out
                self._literal[op.index] = value
                return copy
        return op

    def _aligned(self) -> list[tuple[Value, Entry, Entry]]:
        """Every value that the evaluation reads data from, with its own entry and the one of the training."""
        found: dict[Value, tuple[Value, Entry, Entry]] = {}
        left = list(self._training.run.entries)
        for entry in self._run.entries:
            other = next((e for e in left if e.parameters & entry.parameters), None)
            if other is None:
                raise CannotFeedError(
                    "it brings other parameters together with its input than the training does"
                )
            left.remove(other)
            value = self._literal.get(entry.op.index, entry.data)
            if value not in found:
                found[value] = (value, entry, other)
        if any(entry.rows == self._training.count for entry in left):
            raise CannotFeedError("the training step gives the network more input than it does")
        return list(found.values())

    def _samples(self, size: int | None) -> Iterator[torch.Tensor]:
        """The first samples of the batch, `size` at a time; None: the whole batch at once."""
        count = self._training.count
        if size is None:
            yield torch.arange(count)
            return
        for first in range(0, min(ROWS, count), size):
            # Where the batch has fewer samples than the program's shapes ask for, some come twice.
            yield torch.arange(first, first + size) % count

    def _feed(self, chosen: torch.Tensor) -> dict[Value, torch.Tensor]:
        tensors = {}
        for value, entry, other in self._inputs:
            given = self._of_training(other)
            shape = (len(entry.data),) if isinstance(entry.data, list) else tuple(value.shape)
            given = _as_index(given) if entry.looks_up and not other.looks_up else given
            if other.rows != self._training.count:
                tensors[value] = given  # the same for all samples: positions, say
                continue
            # An input that has no axis for samples is given one of them.
            axis = entry.axis if entry.rows is not None else None
            rows = given.movedim(other.axis, 0)[chosen]
            inner = tuple(rows.shape[1:])
            if axis is not None and shape and (*shape[:axis], *shape[axis % len(shape) + 1 :]) == inner:
                tensors[value] = rows.movedim(0, axis)
            elif len(chosen) == 1 and shape == inner:
                tensors[value] = rows[0]
            else:
                raise CannotFeedError(
                    f"its input has another shape than a sample of the training, {list(inner)}"
                )
        return tensors

    def _of_training(self, entry: Entry) -> torch.Tensor:
        if isinstance(entry.data, list):
            return torch.tensor(entry.data)
        tensor = self._training.env.get(entry.data)
        if tensor is None:
            raise CannotFeedError("the training batch is not known")
        return tensor

    def run(self, size: int | None, replaced: dict[Value, torch.Tensor]) -> Outcome:
        """Raises CannotFeedError if the training batch does not fit at all."""
        if size is not None and size * self._width > _MOST_ELEMENTS:
            raise CannotFeedError(
                "its shapes are written out as numbers, for more samples than are replayed here"
            )
        rows: dict[Value, list[torch.Tensor]] = {}
        broken: dict[Value, str] = {}
        for chosen in self._samples(size):
            fed = {**self._feed(chosen), **replaced}
            replay = Runner(torch.float64, drops=False, overrides=fed, known=self._given(fed))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the program has had its own
                run_still(replay, self._steps, self._masked, self._training.scales)
            broken.update(replay.broken)
            for value in _computed(self._run):
                tensor = replay.env.get(value)
                if tensor is None or tensor.numel() > _MOST_ELEMENTS:
                    continue
                found = self._rows(tensor, len(chosen))
                if found is not None:
                    rows.setdefault(value, []).append(found)
        wanted = min(ROWS, self._training.count)
        whole = {value: torch.cat(parts)[:wanted] for value, parts in rows.items()}
        return Outcome({v: found for v, found in whole.items() if len(found) == wanted}, broken)

    def _given(self, fed: dict[Value, torch.Tensor]) -> dict[Value, torch.Tensor]:
        given = {**self._known, **{v: t for v, t in fed.items() if v.producer is None or v in self.read}}
        return {v: t.detach().to(torch.float64) if t.is_floating_point() else t for v, t in given.items()}

    def _rows(self, tensor: torch.Tensor, count: int) -> torch.Tensor | None:
        if tensor.is_complex():
            return None
        if count == 1:
            return tensor.reshape(1, -1).to(torch.float64)
        return in_rows(tensor, count, self._run.entries[0].axis)


def _computed(run: NetworkRun) -> list[Value]:
    """What a run computes for every sample."""
    return [value for op in run.per_sample for value in op.outputs]


def _as_index(tensor: torch.Tensor) -> torch.Tensor:
    """The rows that a product with rows of zeros and a single one looks up."""
    ones = (tensor == 1).sum(-1) == 1
    if not bool(ones.all()) or not bool(((tensor == 0) | (tensor == 1)).all()):
        raise CannotFeedError("it looks rows up where the training multiplies")
    return tensor.argmax(-1)
