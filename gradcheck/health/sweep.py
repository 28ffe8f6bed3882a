"""The data sweep: the forward pass of a recorded step, replayed on many minibatches of the program's own data.

Where the program draws its minibatch from torch's random stream inside the step, it is drawn again. Where it chooses
rows of a data set in another way (a slice, a permutation made before, NumPy's random numbers), other rows are chosen
instead, the same in every tensor that the program chose the same rows of. Where neither can be done,
the sweep is the recorded batch alone, and the record says why.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.health.context import PassContext
from gradcheck.health.records import SweepRecord
from gradcheck.replay.fresh import fresh_draws
from gradcheck.replay.runner import Runner, attempted


class Sweep:
    """Over `batches` minibatches of one step; the recorded one is the first of them. `replacing` holds other tensors for
    values that the step starts from: the parameters as they were later."""

    def __init__(
        self, context: PassContext, batches: int, replacing: Mapping[Value, torch.Tensor] | None = None
    ) -> None:
        self._context = context
        self._ops = context.judged.plan.forward_ops
        self._mutated = context.mutated
        self._start = {**context.judge.run.start_tensors(), **(replacing or {})}
        self._draws = self._fresh_draws_possible()
        graded = {judged.of.root for judged in context.judge.judged if judged.of is not None}
        self._choice = row_choice(self._ops, self._mutated | graded) if not self._draws else None
        self.record = SweepRecord(context.index)
        if self._draws:
            made = sorted({op.name for op in self._draws})
            self.record.fresh = f"drawn again by {' and '.join(f'`{name}`' for name in made)}"
        elif self._choice is not None:
            shown = context.judgement.names.shown(self._choice.selects[0].args[0])
            self.record.fresh = f"other rows of `{shown}`"
        else:
            self.record.reason = "the step chooses no minibatch that could be chosen again"
        self._batches = max(1, batches) if not self.record.reason else 1

    def __iter__(self) -> Iterator[tuple[int, Runner]]:
        """The number of each batch, and its replay: number 0 is the recorded one. What cannot be replayed is left out."""
        self.record.batches = 0
        self.record.samples = self._rows()
        varying, known = self._split()
        for number in range(self._batches):
            overrides = self._overrides(number) if number else {}
            replay = Runner(
                self._context.dtype, overrides=overrides, start_from={} if known else self._start, known=known
            )
            with torch.no_grad():
                replay.run(varying)
            if self._context.judged.plan.loss in replay.broken:
                continue
            self.record.batches += 1
            yield number, replay

    def _split(self) -> tuple[Sequence[Op], dict[Value, torch.Tensor]]:
        """The ops that another batch changes, and what the others computed once and for all."""
        if self._mutated or self._batches == 1:
            return self._ops, {}
        changed = {op.out for op in self._draws}
        if self._choice is not None:
            changed |= {op.out for op in self._choice.selects}
        varying: list[Op] = []
        touched = {value.root if value.producer in self._draws else value for value in changed}
        once = Runner(self._context.dtype, start_from=self._start)
        with torch.no_grad():
            for op in self._ops:
                if op.out in changed or any(v in touched or v.root in touched for v in op.inputs):
                    varying.append(op)
                    touched.update(op.outputs)
                else:
                    once.step(op)
        for value in self._start:
            attempted(once.tensor, value)  # converts it
        return varying, once.env

    def _rows(self) -> int | None:
        if self._choice is not None:
            return self._choice.count
        shapes = {op.out.shape[0] for op in self._draws if isinstance(op.out, Value) and op.out.shape}
        return shapes.pop() if len(shapes) == 1 else None

    # -- fresh batches -------------------------------------------------------------------------------------------

    def _overrides(self, number: int) -> dict[Value, torch.Tensor]:
        if self._draws:
            return fresh_draws(self._draws, number)
        assert self._choice is not None
        return self._choice.other_rows(number)

    def _fresh_draws_possible(self) -> list[Op]:
        """The draws that choose data: made inside the recorded iteration, or, where there is none, integers that
        choose rows of something larger."""
        plan = self._context.judged.plan
        drawn = [op for op in self._ops if op.kind is Kind.RANDOM and isinstance(op.out, Value)]
        if plan.iteration is None:
            chosen = {
                op.args[1]
                for op in self._ops
                if op.operation is ops.GETITEM and len(op.args) > 1 and isinstance(op.args[1], Value)
                if isinstance(op.args[0], Value) and not op.args[0].requires_grad
                if op.args[0].shape and (*op.args[1].shape, 0)[0] < op.args[0].shape[0]
            }
            drawn = [op for op in drawn if op.out in chosen]
        fresh = fresh_draws(drawn, 1)
        return [op for op in drawn if op.out in fresh]


@dataclass(frozen=True)
class RowChoice:
    """Ops that choose the same `count` of `rows` rows."""

    selects: list[Op]
    rows: int
    count: int

    def other_rows(self, number: int) -> dict[Value, torch.Tensor]:
        chosen = self.draw(torch.Generator().manual_seed(number))
        return {op.out: op.args[0].data[chosen] for op in self.selects}

    def draw(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """Indices of `count` rows, none twice; from the global random stream if no generator is given."""
        return torch.randperm(self.rows, generator=generator)[: self.count]


def row_choice(steps: Sequence[Op], excluded: Collection[Value]) -> RowChoice | None:
    """The one choice of rows from data sets that `steps` make. `excluded` are storages that hold no data: parameters,
    and whatever is changed in place."""
    found: dict[tuple[Any, int], list[Op]] = {}
    for op in steps:
        if op.operation is not ops.GETITEM or len(op.args) != 2 or op.kwargs or not isinstance(op.out, Value):
            continue
        source, index = op.args
        if not _is_data(source) or source.root in excluded:
            continue
        rows, count = source.shape[0], op.out.shape[0] if op.out.shape else 0
        key = _index_key(index)
        if key is None or not 0 < count <= rows // 2 or op.out.shape[1:] != source.shape[1:]:
            continue
        found.setdefault((key, rows), []).append(op)
    if len(found) != 1:
        return None
    (_, rows), selects = next(iter(found.items()))
    counts = {op.out.shape[0] for op in selects}
    return RowChoice(selects, rows, counts.pop()) if len(counts) == 1 else None


def _is_data(value: object) -> bool:
    return (
        isinstance(value, Value)
        and value.data is not None
        and (value.producer is None or value.producer.kind is Kind.RANDOM)
        and not value.requires_grad
        and bool(value.shape)
    )


def _index_key(index: Any) -> Any:
    if isinstance(index, slice):
        bounds = (index.start, index.stop, index.step)
        return ("slice", *bounds) if all(b is None or isinstance(b, int) for b in bounds) else None
    if isinstance(index, Value):
        if index.data is None or index.data.is_floating_point() or index.data.dtype is torch.bool:
            return None
        return ("rows", tuple(index.data.flatten().tolist())) if index.data.ndim == 1 else None
    if isinstance(index, list) and all(isinstance(i, int) for i in index):
        return ("rows", tuple(index))
    return None
