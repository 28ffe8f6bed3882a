"""Which Python number the move of a parameter is proportional to: its learning rate, whatever it is called.

No name tells. The step is replayed with one number of its update doubled, and a parameter whose move doubles as well
(to rounding) has that number for its learning rate. Where earlier steps have a part in the move (a momentum that holds
the learning rate of then), or a clamp has, none doubles it, and there is none to report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gradcheck.recording.tape import Kind, Op, Value
from gradcheck.replay.engine import Patch, Replay
from gradcheck.replay.judge import Judge
from gradcheck.replay.update_effects import Span, moves

_MOST_NUMBERS = 12
_FACTOR = 2.0
_ROUNDING = 1e-9
_TELLS_NOTHING = (0.0, 1.0)


@dataclass(frozen=True)
class _Multiplied(Patch):
    """One op with the numbers of one size among its arguments multiplied."""

    op: Op
    size: float

    @property
    def after(self) -> int:
        return self.op.index

    @property
    def skipped(self) -> frozenset[int]:
        return frozenset({self.op.index})

    @property
    def reads(self) -> tuple[Value, ...]:
        return tuple(self.op.inputs)

    def apply(self, replay: Replay) -> None:
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
    """`number` as it stands in `op`, the op nearest to the move that holds it."""

    number: float
    op: Op


def factors_of_moves(
    judge: Judge, ops: Sequence[Op], spans: Mapping[Value, Span], found: Mapping[Value, torch.Tensor]
) -> dict[Value, Factor]:
    """For each parameter in `spans`, whose moves are `found`, the number that its move is proportional to."""
    holders = _holders(judge, ops)
    result: dict[Value, Factor] = {}
    for size in sorted(holders, key=lambda s: -holders[s][-1].index)[:_MOST_NUMBERS]:
        waiting = [p for p in found if p not in result]
        if not waiting:
            break
        patches: dict[int, Patch] = {op.index: _Multiplied(op, size) for op in holders[size]}
        changed = moves(judge, list(ops), spans, patches)
        for parameter in waiting:
            if parameter in changed and _is_multiple(changed[parameter], found[parameter]):
                op = _nearest(holders[size], spans[parameter], ops)
                if op is not None:
                    result[parameter] = Factor(_numbers(op, size)[0], op)
    return result


def _holders(judge: Judge, ops: Sequence[Op]) -> dict[float, list[Op]]:
    """The ops after the loss that compute with a number and build no gradient, by the size of the number."""
    writes = {op.index for c in judge.plan.candidates for v in c.versions for op in v.writes}
    own_updates = {update.op.index for update in judge.plan.updates}
    found: dict[float, list[Op]] = {}
    for op in ops:
        if op.index <= judge.plan.loss_op.index or op.kind not in (Kind.PURE, Kind.MUTATE):
            continue
        if op.index in writes and op.index not in own_updates:
            continue
        for size in {s for s in map(_size, _arguments(op)) if s is not None and s not in _TELLS_NOTHING}:
            found.setdefault(size, []).append(op)
    return found


def _nearest(holders: Sequence[Op], span: Span, ops: Sequence[Op]) -> Op | None:
    """The last of `holders` that what the parameter is moved by was computed with."""
    wanted = {op.index for op in holders}
    reached: set[Value] = {span.before.root, span.after.root}
    for op in reversed(ops):
        if op.index > span.last or not any(v.root in reached for v in (*op.outputs, *op.mutated)):
            continue
        if op.index in wanted and op.index >= 0:
            return op
        reached.update(v.root for v in op.inputs)
    return None


def _arguments(op: Op) -> Iterable[Any]:
    return (*op.args, *(op.kwargs or {}).values())


def _numbers(op: Op, size: float) -> list[float]:
    return [float(a) for a in _arguments(op) if _size(a) == size]


def _size(argument: Any) -> float | None:
    if isinstance(argument, bool) or not isinstance(argument, (int, float)):
        return None
    return abs(float(argument))


def _is_multiple(changed: torch.Tensor, move: torch.Tensor) -> bool:
    size = float(move.abs().max()) if move.numel() else 0.0
    return size > 0 and float((changed - _FACTOR * move).abs().max()) <= _ROUNDING * size
