"""Which Python number the move of a parameter is proportional to: its learning rate, whatever it is called.

Names do not count. The step is replayed with one number of its update doubled, and a parameter whose move doubles as well
(to rounding) has that number for its learning rate. Where earlier steps have a part in the move (a momentum that holds
the learning rate of then), or a clamp has, none doubles it, and there is none to report.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

import torch

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.step.effects import Given, Span, moves
from gradcheck.replay.runner import Patch, Runner
from gradcheck.replay.slices import Slicer

_MOST_NUMBERS = 12
_MOST_ON_WAY = 64  # numbers that are looked at; a rate is near the move
_FACTOR = 2.0
# A move is a small difference of large numbers: of one in 1e9, seven digits are left.
_ROUNDING = 1e-4
_UNINFORMATIVE = (0.0, 1.0)


@dataclass(frozen=True)
class _Multiplied(Patch):
    """One op with the numbers of one size among its arguments multiplied."""

    op: Op
    size: float

    @property
    def skipped(self) -> frozenset[int]:
        return frozenset({self.op.index})

    @property
    def reads(self) -> tuple[Value, ...]:
        return tuple(self.op.inputs)

    def apply(self, replay: Runner) -> None:
        op = self.op
        args = tuple(self._changed(a) for a in op.args)
        kwargs = {key: self._changed(a) for key, a in op.kwargs.items()} if op.kwargs else op.kwargs
        changed = Op(op.index, op.func, op.kind, args, kwargs, op.code, op.lasti)
        changed.out, changed.extra, changed.scope = op.out, op.extra, op.scope
        changed.grad_enabled = op.grad_enabled
        replay.perform(changed)

    def _changed(self, argument: Any) -> Any:
        return argument * _FACTOR if _size(argument) == self.size else argument


@dataclass(frozen=True, slots=True)
class Factor:
    """`number` as `op` has it among its arguments: the op nearest to the move that holds it."""

    number: float
    op: Op


def factors_of_moves(
    judge: Judge,
    ops: Sequence[Op],
    spans: Mapping[Value, Span],
    found: Mapping[Value, torch.Tensor],
    shorter: tuple[list[Op], Given],
) -> dict[Value, Factor]:
    """For each parameter in `spans`, whose moves are `found`, the number that its move is proportional to: the one
    nearest to the move, if there are several. (Adam's first step is also proportional to 1 - beta1.) The ops `shorter` do
    what `ops` do from given gradients on: enough, where nothing is changed before."""
    enough = {op.index for op in shorter[0]}
    moved = {p: move for p, move in found.items() if _size_of(move) > 0}
    holders = _holders(judge, ops)
    slicer = judge.plan.slicer
    on_way = {p: list(islice(_on_way(holders, spans[p], slicer), _MOST_ON_WAY)) for p in moved}
    result: dict[Value, Factor] = {}

    def try_changed(changed_for: Mapping[Value, _Multiplied], patches: Mapping[int, Patch]) -> None:
        steps, given = shorter if enough.issuperset(patches) else (list(ops), None)
        moves_then = moves(judge, steps, spans, patches, given)
        for parameter, tried in changed_for.items():
            changed = moves_then.pop(parameter, None)
            if changed is not None and _is_multiple(changed, moved[parameter]):
                number = next(float(a) for a in _arguments(tried.op) if _size(a) == tried.size)
                result[parameter] = Factor(number, tried.op)

    # One number for every parameter at a time: in most programs the same instruction moves all of them.
    for number in range(_MOST_NUMBERS):
        trying = {p: way[number] for p, way in on_way.items() if len(way) > number and p not in result}
        if not trying:
            break
        try_changed(trying, {tried.op.index: tried for tried in trying.values()})
    # A learning rate that comes in twice (`p -= lr * g + lr * decay * p`) doubles the move only as a whole.
    left = {p: way for p, way in on_way.items() if p not in result}
    for size in list(dict.fromkeys(tried.size for way in left.values() for tried in way))[:_MOST_NUMBERS]:
        trying = {
            p: next(tried for tried in way if tried.size == size)
            for p, way in left.items()
            if p not in result and sum(tried.size == size for tried in way) > 1
        }
        if trying:
            try_changed(
                trying, {i: _Multiplied(op, size) for i, (op, sizes) in holders.items() if size in sizes}
            )
    return result


def _holders(judge: Judge, ops: Sequence[Op]) -> dict[int, tuple[Op, list[float]]]:
    """The ops after the loss that compute with numbers and build no gradient, with the sizes of the numbers."""
    writes = {op.index for c in judge.plan.candidates for v in c.versions for op in v.writes}
    own_updates = {update.op.index for update in judge.plan.updates}
    found = {}
    for op in ops:
        if op.index <= judge.plan.loss_op.index or op.kind not in (Kind.PURE, Kind.MUTATE):
            continue
        if op.index in writes and op.index not in own_updates:
            continue
        sizes = {s for s in map(_size, _arguments(op)) if s is not None and s not in _UNINFORMATIVE}
        if sizes:
            found[op.index] = op, sorted(sizes)
    return found


def _on_way(
    holders: Mapping[int, tuple[Op, list[float]]], span: Span, slicer: Slicer
) -> Iterator[_Multiplied]:
    """Every number that goes into what the parameter is moved by, the nearest to its move first."""
    first, ops = min(holders, default=span.last), slicer.backwards([span.before, span.after], span.last + 1)
    for op in takewhile(lambda op: op.index >= first, ops):
        if op.index in holders:
            yield from (_Multiplied(op, size) for size in holders[op.index][1])


def _arguments(op: Op) -> Iterable[Any]:
    return (*op.args, *(op.kwargs or {}).values())


def _size(argument: Any) -> float | None:
    if isinstance(argument, bool) or not isinstance(argument, (int, float)):
        return None
    return abs(float(argument))


def _is_multiple(changed: torch.Tensor, move: torch.Tensor) -> bool:
    return _size_of(changed.sub_(move, alpha=_FACTOR)) <= _ROUNDING * _size_of(move)


def _size_of(tensor: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor, math.inf)) if tensor.numel() else 0.0
