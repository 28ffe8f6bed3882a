"""The network of a training step: what it computes for every sample, at moved parameters and without dropout.

What is random in training alone (dropout, a mask drawn by hand) is taken out; what a batch normalisation computes of
the batch stays, for an evaluation to be given instead of its stored statistics.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.match.products import is_linear_map
from gradcheck.graph.match.rows import behind
from gradcheck.graph.match.scaling import degree
from gradcheck.health.context import PassContext
from gradcheck.health.network.runs import Application, NetworkRun, RunFinder
from gradcheck.health.network.trained import Trained, TrainedParameters
from gradcheck.replay.runner import Runner
from gradcheck.replay.slices import read_from_outside, roots_mutated

ROWS = 8  # that are compared at most
_STEPS_TO_DRAW = 6  # from a mask to the random numbers that it was made of

Statistic = tuple[torch.Tensor, float | None]  # and how it grows with the batch
Masked = dict[Op, tuple[Value, Value]]  # by the op that multiplies them: a value, and a mask that is drawn


def run_still(replay: Runner, steps: Iterable[Op], masked: Masked, scales: bool) -> None:
    """Masks drop nothing; with `scales`, what they are multiplied with is scaled as if they dropped some."""
    with torch.no_grad():
        for op in steps:
            replay.step(op)
            source = replay.env.get(masked[op][0]) if op in masked else None
            if source is not None and isinstance(op.out, Value):
                replay.put(op.out, source * ((_kept_share(masked[op][1]) or 1.0) if scales else 1.0))


@dataclass(frozen=True)
class Known:
    """A value of the training step, one row for each sample; `size` is the norm of the rows."""

    value: Value
    op: Op
    rows: torch.Tensor
    size: float


@dataclass
class TrainingNetwork:
    """`noisy`: something random was taken out of it that an evaluation may rightly account for otherwise."""

    run: NetworkRun
    count: int  # samples in the batch
    logits: Value
    read: set[Value]  # all that its forward pass reads from outside
    changed: set[Value]  # storages that the step changes in place
    env: dict[Value, torch.Tensor]
    known: list[Known] = field(default_factory=list)
    noisy: bool = False
    masked: bool = False  # it multiplies with masks that are drawn by hand
    scales: bool = False  # what those keep is scaled here as they do on average

    @property
    def axis(self) -> int:
        return self.run.entries[0].axis

    @property
    def last_weights(self) -> set[Trained]:
        """The parameters of its last layer."""
        found: set[Trained] = set()
        for application in reversed(self.run.applications):
            found |= application.parameters
            if is_linear_map(application.op):
                break
        return found

    def application_of(self, parameter: Trained) -> Application | None:
        return next((a for a in self.run.applications if parameter in a.parameters), None)

    def equal_to(self, rows: torch.Tensor, tolerance: float) -> Known | None:
        """The last of its values that has these numbers."""
        size = float(rows.norm())
        for known in reversed(self.known):
            if known.rows.shape != rows.shape:
                continue
            # Norms differ by at most the norm of the difference: for most values the norms alone are enough.
            allowed = tolerance * max(known.size, size)
            if abs(known.size - size) <= allowed and float((known.rows - rows).norm()) <= allowed:
                return known
        return None

    def statistics(self, count: int) -> Iterator[Statistic]:
        """What it computes of the whole batch and has so many elements."""
        for value in dict.fromkeys(value for op in self.run.of_all for value in op.outputs):
            tensor = self.env.get(value)
            if tensor is not None and tensor.numel() == count:
                yield tensor, degree(value)

    def moments(self, known: Known, count: int) -> Iterator[Statistic]:
        """Mean, variance and what is made of them, of one of its values over the batch."""
        tensor = self.env[known.value]
        axis = _sample_axis(tensor, self.count, self.axis)
        if axis is None or not tensor.is_floating_point():
            return
        others = [d for d in range(tensor.ndim) if d != axis]
        for axes in [[axis], *([[axis, d] for d in others] if len(others) > 1 else [])]:
            if tensor.numel() // math.prod(tensor.shape[d] for d in axes) != count or self.count < 2:
                continue
            yield tensor.mean(axes), 1.0
            for correction in (0, 1):
                variance = tensor.var(axes, correction=correction)
                yield variance, 2.0
                yield variance.sqrt(), 1.0
                yield (variance + 1e-5) ** -0.5, -1.0


def _sample_axis(tensor: torch.Tensor, count: int, axis: int) -> int | None:
    if tensor.ndim == 0:
        return None
    if tensor.shape[axis] == count:
        return axis % tensor.ndim
    return next((d for d in range(tensor.ndim) if tensor.shape[d] == count), None)


def in_rows(tensor: torch.Tensor, count: int, axis: int) -> torch.Tensor | None:
    """One row for each sample, at most ROWS of them; None if the tensor has no axis of the samples."""
    if tensor.is_complex() or tensor.ndim == 0:
        return None
    found = _sample_axis(tensor, count, axis)
    if found is not None:
        tensor = tensor.movedim(found, 0)
    elif axis != 0 or tensor.shape[0] % count:
        return None
    return tensor.reshape(count, -1)[:ROWS].to(torch.float64)


def training_networks(context: PassContext, trained: TrainedParameters) -> list[TrainingNetwork]:
    """The network of the step; two if it is not known how what was random scales, none if its forward pass brings no
    parameter together with data."""
    steps = context.forward.ops
    finder = RunFinder(trained)
    runs = finder.find(steps)
    if not runs:
        return []
    run = max(runs, key=lambda run: (len(run.parameters), run.last.index))
    applied = [a.op for a in run.applications if a.op in run.per_sample]
    if run.rows is None or not applied or not isinstance(applied[-1].out, Value):
        return []
    read = set(read_from_outside(steps))
    changed = roots_mutated(context.judgement.recording.ops[context.judged.plan.start :])
    masked, noisy = noise_in(steps, run, finder)
    found = []
    for scales in (False, True) if masked else (False,):
        replay = Runner(
            torch.float64,
            drops=False,
            start_from=context.judge.run.start_tensors(),
            known=dict(trained.tensors),
        )
        run_still(replay, steps, masked, scales)
        network = TrainingNetwork(run, run.rows, applied[-1].out, read, changed, replay.env)
        network.masked, network.scales, network.noisy = bool(masked), scales, noisy or bool(masked)
        for op in run.per_sample:
            for value in op.outputs:
                tensor = replay.env.get(value)
                rows = in_rows(tensor, run.rows, network.axis) if tensor is not None else None
                if rows is not None and bool(torch.isfinite(rows).all()):
                    network.known.append(Known(value, op, rows, float(rows.norm())))
        if any(known.value is network.logits for known in network.known):
            found.append(network)
    return found


def noise_in(steps: Iterable[Op], run: NetworkRun, finder: RunFinder) -> tuple[Masked, bool]:
    """Where random numbers meet what is computed for every sample, up to the last layer: the masks that multiply it,
    and whether they meet it in another way."""
    drawn: set[Value] = set()
    masked: Masked = {}
    others = False
    data = run.data
    is_per_sample = finder.is_per_sample
    for op in steps:
        if op.index > run.last_application:
            break
        if op.kind in (Kind.RANDOM, Kind.RANDOM_MUTATE):
            if not any(map(_chooses_rows, op.outputs)) and data.isdisjoint(op.outputs):
                drawn.update(v.root for v in (*op.outputs, *op.mutated))
            continue
        random = [v for v in op.inputs if v.root in drawn]
        if not random:
            continue
        met = [v for v in op.inputs if is_per_sample(v)]
        if not met:
            if not any(map(is_per_sample, op.outputs)):  # a look-up of random rows is data
                drawn.update(v.root for v in op.outputs if v not in data)
        elif op.operation is ops.MUL and len(met) == len(random) == 1:
            masked[op] = (met[0], random[0])
        elif not any(map(is_per_sample, random)):
            others = True
    return masked, others


def _chooses_rows(drawn: Value) -> bool:
    """Whether these are whole numbers beyond 0 and 1, which are a mask: `np.random.binomial(1, p, size)`."""
    numbers = drawn.data
    return numbers is not None and not numbers.is_floating_point() and bool((numbers > 1).any())


def _kept_share(mask: Value) -> float | None:
    """How much a mask keeps on average, where it was drawn by comparing with a number."""
    for value in behind(mask, lambda op: bool(op.inputs), _STEPS_TO_DRAW):
        op = value.producer
        limits = [a for a in op.args[1:] if isinstance(a, float)] if op is not None else []
        if op is None or not limits:
            continue
        if op.operation is ops.COMPARE:
            return 1 - limits[0] if op.name.strip("_") in ("gt", "ge") else limits[0]
        if op.name.startswith(("bernoulli", "binomial")):
            return limits[0]
    return None
