"""The network of a training step: what it computes for every sample, at moved parameters and without dropout.

What is random in training alone (dropout, a mask drawn by hand) is taken out; what a batch normalisation computes of
the batch stays, for an evaluation to be given in the place of its stored statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.health.context import PassContext
from gradcheck.health.evaluation.parameters import Trained, TrainedParameters
from gradcheck.health.network.runs import MULTIPLIES, Application, NetworkRun, RunFinder
from gradcheck.replay.engine import Replay
from gradcheck.replay.slices import roots_mutated

ROWS = 8  # that are compared at most
_ABOVE = {"gt", "ge", "__gt__", "__ge__"}
_BELOW = {"lt", "le", "__lt__", "__le__"}
_STEPS_TO_DRAW = 6  # from a mask to the random numbers that it was made of
_CHOOSES_ROWS = {"randint", "randperm", "multinomial", "randint_like"}
_SCALES = {"mul", "__mul__", "__rmul__", "multiply", "mul_", "__imul__"}


class StillReplay(Replay):
    """A replay in which dropout drops nothing."""

    def _dropout(self, op: Op, args: Any, kwargs: dict[str, Any]) -> Any:
        return args[0] if args else kwargs["input"]


@dataclass(frozen=True)
class Known:
    """A value of the training step, one row for each sample."""

    value: Value
    op: Op
    rows: torch.Tensor
    size: float = field(init=False)  # the norm of its rows

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", float(self.rows.norm()))


@dataclass
class TrainingNetwork:
    """`noisy`: something random was taken out of it that an evaluation may rightly account for otherwise."""

    run: NetworkRun[Trained]
    finder: RunFinder[Trained]
    count: int  # samples in the batch
    axis: int
    logits: Value
    read: set[Value]  # all that its forward pass reads from outside
    changed: set[Value]  # storages that the step changes in place
    env: dict[Value, torch.Tensor]
    known: list[Known] = field(default_factory=list)
    noisy: bool = False
    masked: bool = False  # it multiplies with masks that are drawn by hand
    scales: bool = False  # what those keep is scaled here as they do on average

    @property
    def last_weights(self) -> set[Trained]:
        """The parameters of its last layer."""
        found: set[Trained] = set()
        for application in reversed(self.run.applications):
            found |= application.parameters
            if application.op.name in MULTIPLIES:
                break
        return found

    def application_of(self, parameter: Trained) -> Application[Trained] | None:
        return next((a for a in self.run.applications if parameter in a.parameters), None)

    def equal_to(self, rows: torch.Tensor, tolerance: float) -> Known | None:
        """The last of its values that has these numbers."""
        size = float(rows.norm())
        for known in reversed(self.known):
            if known.rows.shape != rows.shape:
                continue
            # Norms differ by at most the norm of the difference: most values are told apart by their norms alone.
            allowed = tolerance * max(known.size, size)
            if abs(known.size - size) <= allowed and float((known.rows - rows).norm()) <= allowed:
                return known
        return None

    def statistics(self, count: int) -> Iterator[torch.Tensor]:
        """What it computes of the whole batch, as far as it has so many elements."""
        seen: set[int] = set()
        for op in self.run.of_all:
            for value in op.outputs:
                tensor = self.env.get(value)
                if tensor is not None and tensor.numel() == count and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield tensor

    def moments(self, known: Known, count: int) -> Iterator[torch.Tensor]:
        """Mean, variance and what is made of them, of one of its values over the batch."""
        tensor = self.env[known.value]
        axis = sample_axis(tensor, self.count, self.axis)
        if axis is None or not tensor.is_floating_point():
            return
        others = [d for d in range(tensor.ndim) if d != axis]
        for axes in [[axis], *([[axis, d] for d in others] if len(others) > 1 else [])]:
            if tensor.numel() // _product(tensor.shape[d] for d in axes) != count or self.count < 2:
                continue
            yield tensor.mean(axes)
            for unbiased in (False, True):
                variance = tensor.var(axes, correction=int(unbiased))
                yield variance
                yield variance.sqrt()
                yield (variance + 1e-5) ** -0.5


def close(first: torch.Tensor, second: torch.Tensor, tolerance: float) -> bool:
    size = max(float(first.norm()), float(second.norm()))
    return float((first - second).norm()) <= tolerance * size


def sample_axis(tensor: torch.Tensor, count: int, axis: int) -> int | None:
    if tensor.ndim == 0:
        return None
    if tensor.shape[axis] == count:
        return axis % tensor.ndim
    return next((d for d in range(tensor.ndim) if tensor.shape[d] == count), None)


def in_rows(tensor: torch.Tensor, count: int, axis: int) -> torch.Tensor | None:
    """One row for each sample, at most ROWS of them; None if the tensor has no axis of the samples."""
    if tensor.is_complex() or tensor.ndim == 0:
        return None
    found = sample_axis(tensor, count, axis)
    if found is not None:
        rows = tensor.movedim(found, 0).reshape(count, -1)
    elif axis == 0 and tensor.shape[0] % count == 0:
        rows = tensor.reshape(count, -1)
    else:
        return None
    return rows[:ROWS].to(torch.float64)


def training_network(context: PassContext, trained: TrainedParameters) -> list[TrainingNetwork]:
    """The network of the step; more than one if it cannot be told how what was random scales. None if its forward
    pass brings no parameter together with data."""
    ops = context.judged.plan.forward_ops
    finder: RunFinder[Trained] = RunFinder(trained.of)
    runs = finder.find(ops)
    if not runs:
        return []
    run = max(runs, key=lambda run: (len(run.parameters), run.end))
    rows = run.rows
    applied = [a.op for a in run.applications if a.op in run.per_sample]
    if rows is None or not applied or not isinstance(applied[-1].out, Value):
        return []
    read = {v for op in ops for v in op.inputs}
    changed = roots_mutated(context.judgement.recording.ops[context.judged.plan.start :])
    noise = noise_in(ops, run, finder)
    found = []
    for scales in (False, True) if noise.masked else (False,):
        replay = StillReplay(
            torch.float64,
            mutated=roots_mutated(ops),
            start_from=context.judge.run.start_tensors(),
            known=dict(trained.tensors),
        )
        with torch.no_grad():
            for op in ops:
                replay.step(op)
                if op in noise.masked:
                    unmask(replay, op, noise.masked[op], scales)
        network = TrainingNetwork(
            run, finder, rows, run.entries[0].axis, applied[-1].out, read, changed, replay.env
        )
        network.masked, network.scales = bool(noise.masked), scales
        network.noisy = noise.other or network.masked
        for op in run.per_sample:
            for value in op.outputs:
                tensor = replay.env.get(value)
                mat = in_rows(tensor, rows, network.axis) if tensor is not None else None
                if mat is not None and bool(torch.isfinite(mat).all()):
                    network.known.append(Known(value, op, mat))
        if any(known.value is network.logits for known in network.known):
            found.append(network)
    return found


Masked = dict[Op, tuple[Value, Value]]  # by the op that multiplies them: a value, and a mask that is drawn


@dataclass
class Noise:
    masked: Masked = field(default_factory=dict)
    other: bool = False


def noise_in(ops: Iterable[Op], run: NetworkRun[Trained], finder: RunFinder[Trained]) -> Noise:
    """Where random numbers meet what is computed for every sample, up to the last layer."""
    drawn: set[Value] = set()
    noise = Noise()
    data = {entry.data for entry in run.entries if isinstance(entry.data, Value)}
    last = max(a.op.index for a in run.applications)
    is_per_sample = finder.is_per_sample
    for op in ops:
        if op.index > last:
            break
        if op.kind in (Kind.RANDOM, Kind.RANDOM_MUTATE):
            if op.name in _CHOOSES_ROWS or any(v in data for v in op.outputs):
                continue
            drawn.update(v.root for v in (*op.outputs, *op.mutated))
            continue
        if not any(v.root in drawn for v in op.inputs):
            continue
        met = [v for v in op.inputs if is_per_sample(v)]
        random = [v for v in op.inputs if v.root in drawn]
        if not met:
            if not any(is_per_sample(v) for v in op.outputs):  # a look-up of random rows is data
                drawn.update(v.root for v in op.outputs if v not in data)
        elif op.name in _SCALES and len(met) == 1 and len(random) == 1:
            noise.masked[op] = (met[0], random[0])
        elif not any(is_per_sample(v) for v in random):
            noise.other = True
    return noise


def unmask(replay: Replay, op: Op, parts: tuple[Value, Value], scales: bool) -> None:
    """Nothing is dropped; with `scales`, what is kept is scaled as if some were."""
    source = replay.env.get(parts[0])
    if source is None or not isinstance(op.out, Value):
        return
    replay.put(op.out, source * (_kept_share(parts[1]) or 1.0 if scales else 1.0))


def _kept_share(mask: Value) -> float | None:
    """How much a mask keeps on average, where it was drawn by comparing with a number."""
    value = mask
    for _ in range(_STEPS_TO_DRAW):
        op = value.producer
        if op is None:
            return None
        limits = [a for a in op.args[1:] if isinstance(a, float)]
        if op.name in _ABOVE | _BELOW and limits:
            return 1 - limits[0] if op.name in _ABOVE else limits[0]
        if op.name in ("bernoulli", "bernoulli_") and limits:
            return limits[0]
        if not op.inputs:
            return None
        value = op.inputs[0]
    return None


def _product(sizes: Iterable[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
