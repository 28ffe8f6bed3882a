"""Running statistics: where they go, which one recorded step is enough to find out.

What a step makes of an old value is `a * old + b * s`: the step replayed with an old value of 0 and with one of 1 gives
`a` and `b * s`. With the same batch for ever it would arrive at `b * s / (1 - a)`, which must be a statistic of a layer.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.match.batch_norm import BatchNorm
from gradcheck.health.context import PassContext
from gradcheck.health.network.normalising import Normaliser
from gradcheck.health.network.probing import fed
from gradcheck.health.sweep import Sweep
from gradcheck.replay.runner import ReplayError, attempted

_EXACT = 1e-6
_MOST = 200  # candidates that are replayed


@dataclass(frozen=True, eq=False)
class Running:
    """`before` is the value at the start of the step, `after` what the step made of it by `op`."""

    before: Value
    after: Value
    op: Op
    what: str  # "mean" or "variance"
    layer: int  # index of the layer it goes to
    weights: float  # what the weights add up to
    correction: int | None


@dataclass(frozen=True, eq=False)
class _Known:
    layer: int
    what: str
    correction: int | None
    numbers: torch.Tensor


def running_statistics(context: PassContext, layers: list[BatchNorm]) -> list[Running]:
    """Those that go to a statistic of a layer."""
    plan = context.judged.plan
    ops = [op for op in context.judge.ops if plan.start <= op.index < plan.stop]
    known = list(_known(context, layers))
    sizes = {k.numbers.numel() for k in known}
    found = []
    for before, after, op in list(_candidates(context, ops, sizes))[:_MOST]:
        running = _judged(context, before, after, op, known)
        if running is not None:
            found.append(running)
    return found


def _known(context: PassContext, layers: list[BatchNorm]) -> Iterator[_Known]:
    for number, layer in enumerate(layers):
        normaliser = Normaliser(layer, context.mutated)
        try:
            rows = normaliser.per_feature(normaliser.entry(context.forward.tensor))
        except ReplayError:
            continue
        yield _Known(number, "mean", None, rows.mean(0))
        for correction in (0, 1) if rows.shape[0] > 1 else (0,):
            yield _Known(number, "variance", correction, rows.var(0, correction=correction))


def _candidates(context: PassContext, ops: list[Op], sizes: set[int]) -> Iterator[tuple[Value, Value, Op]]:
    """Numbers per feature that were there before the step, and are changed by it or have a successor of their name."""
    names = context.judgement.names
    start = context.judged.plan.start
    trained = {update.parameter.root for update in context.judged.plan.updates}
    seen: set[Value] = set()
    last_change: dict[Value, Op] = {}
    for op in ops:
        for value in op.mutated:
            last_change[value.root] = op
    for op in ops:
        for value in op.inputs:
            old = value.producer is None or value.producer.index < start
            if value in seen or not old or value.root in trained or math.prod(value.shape) not in sizes:
                continue
            seen.add(value)
            change = last_change.get(value.root)
            if change is not None:
                if value.root is value:
                    yield value, value, change
                continue
            own = {binding.variable for binding in names.bindings(value)}
            for later in ops:
                out = later.out
                if later.kind is not Kind.PURE or not isinstance(out, Value) or out.shape != value.shape:
                    continue
                if out is not value and own & {binding.variable for binding in names.bindings(out)}:
                    yield value, out, later


def _judged(
    context: PassContext, before: Value, after: Value, op: Op, known: Iterable[_Known]
) -> Running | None:
    plan = context.judged.plan
    needed = plan.slicer.slice([after], plan.start, op.index + 1)
    start = context.judge.run.start_tensors()
    results = []
    shape = before.shape
    for number in (0.0, 1.0, 2.0):
        old = torch.full(shape, number, dtype=torch.float64)
        result = attempted(fed(needed, start={**start, before: old}).tensor, after)
        if result is None:
            return None
        results.append(result.detach().double().flatten().clone())
    at_0, at_1, at_2 = results
    if not bool(torch.isfinite(torch.stack(results)).all()):
        return None
    old_weight = at_1 - at_0
    if not torch.allclose(at_2 - at_1, old_weight, rtol=1e-9, atol=1e-12):
        return None
    weight = float(old_weight.median())
    if not torch.allclose(old_weight, torch.full_like(old_weight, weight), rtol=1e-9, atol=1e-12):
        return None
    if not -1e-12 <= weight < 1 - 1e-9:
        return None  # a sum, which somebody divides later
    target = at_0 / (1 - weight)
    return _nearest(before, after, op, target, weight, known)


def _nearest(
    before: Value, after: Value, op: Op, target: torch.Tensor, old_weight: float, known: Iterable[_Known]
) -> Running | None:
    best: tuple[float, float, _Known] | None = None
    for statistic in known:
        numbers = statistic.numbers
        size = float(numbers.norm() * target.norm())
        if numbers.numel() != target.numel() or size == 0 or numbers.numel() < 3:
            continue
        multiple = float(numbers @ target / (numbers @ numbers))
        rest = float((target - multiple * numbers).norm() / target.norm())
        if rest <= _EXACT and (best is None or abs(multiple - 1) < abs(best[1] - 1)):
            best = rest, multiple, statistic
    if best is None:
        return None
    _, multiple, statistic = best
    # The weight of the batch's statistic is what is left of the target.
    weights = old_weight + (1 - old_weight) * multiple
    return Running(before, after, op, statistic.what, statistic.layer, weights, statistic.correction)


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
