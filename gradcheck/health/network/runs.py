"""Cuts a stretch of the tape into runs of a network: each time that its parameters are brought together with data.

A run begins where a parameter meets data that no parameter has touched yet, and holds all that is computed from there.
What one run computed of all its samples together (a mean, a variance) and another one reads joins the two into no
single run: the first only made statistics for the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.graph.match.batch_norm import batch_norm_call
from gradcheck.graph.match.products import is_linear_map
from gradcheck.graph.match.rows import reduced_axes
from gradcheck.health.network.trained import Trained, TrainedParameters
from gradcheck.ops import Family

_NOT_FOLLOWED = (
    Kind.ESCAPE, Kind.BACKWARD, Kind.GRAD_WRITE, Kind.GRAD_READ, Kind.RANDOM, Kind.RANDOM_MUTATE, Kind.CREATE,
)  # fmt: skip


@dataclass(frozen=True)
class Application:
    """`op` applies `parameters` to values of the run."""

    op: Op
    parameters: frozenset[Trained]


@dataclass(frozen=True)
class Entry(Application):
    """`op` brings `parameters` together with `data`: a value, or Python numbers as they stand among the arguments."""

    data: Any
    axis: int  # of the samples in the data
    rows: int | None  # how many samples; None for data without an axis for them

    @property
    def looks_up(self) -> bool:
        return self.op.operation in ops.LOOK_UPS


@dataclass(eq=False)
class NetworkRun:
    number: int
    entries: list[Entry] = field(default_factory=list)
    applications: list[Application] = field(default_factory=list)  # entries among them
    per_sample: list[Op] = field(default_factory=list)  # they compute something for every sample
    of_all: list[Op] = field(default_factory=list)  # they compute something of all samples together
    joins: list[tuple[Op, Value]] = field(default_factory=list)  # where the latter comes back to the samples
    feeds: bool = False  # another run reads what it computed of all its samples

    @property
    def parameters(self) -> set[Trained]:
        return {p for application in self.applications for p in application.parameters}

    @property
    def rows(self) -> int | None:
        return next((entry.rows for entry in self.entries if entry.rows is not None), None)

    @property
    def data(self) -> set[Value]:
        return {entry.data for entry in self.entries if isinstance(entry.data, Value)}

    @property
    def signature(self) -> tuple[tuple[object, int], ...]:
        """The same for runs of the same lines in the same order."""
        return tuple((op.code, op.lasti) for op in self.per_sample)

    @property
    def last(self) -> Op:
        return max((*self.per_sample, *self.of_all), key=lambda op: op.index)

    @property
    def last_application(self) -> int:
        return self.applications[-1].op.index

    @cached_property
    def joins_before_a_layer(self) -> list[Op]:
        """Where what was computed of all samples comes back to them, and a layer reads what that makes of them."""
        read = [v for a in self.applications if a not in self.entries for v in a.op.inputs]
        behind = flow.backward(self.per_sample, read, key=flow.storage)
        return [op for op, _ in self.joins if any(v.root in behind for v in (*op.outputs, *op.mutated))]

    def slice(self, steps: Sequence[Op]) -> list[Op]:
        """The ops that compute the run, from its beginning on; `steps` are those of the stretch, in order."""
        begin, end = self.entries[0].op.index, self.last.index
        inside = [op for op in steps if begin <= op.index <= end and op.kind is not Kind.ESCAPE]
        return flow.slice_for(inside, [v for op in self.per_sample for v in (*op.outputs, *op.mutated)])

    def take(self, other: NetworkRun) -> None:
        self.entries += other.entries
        self.applications += other.applications
        self.per_sample += other.per_sample
        self.of_all += other.of_all
        self.joins += other.joins
        self.feeds = self.feeds or other.feeds


@dataclass(frozen=True)
class _Trace:
    """What a storage was computed from: parameters alone (`run` is None), or a run; `whole` if of all its samples."""

    parameters: frozenset[Trained] = frozenset()
    run: int | None = None
    whole: bool = False

    @property
    def of_samples(self) -> bool:
        return self.run is not None and not self.whole


_NONE = _Trace()


class RunFinder:
    def __init__(self, trained: TrainedParameters) -> None:
        self._parameter_of = trained.of
        self._traces: dict[Value, _Trace] = {}
        self._runs: list[NetworkRun] = []
        self._joined: list[int] = []

    def find(self, steps: Iterable[Op]) -> list[NetworkRun]:
        for op in steps:
            if op.kind not in _NOT_FOLLOWED and op.operation is not ops.CHOICE:
                self._follow(op)
        kept = [run for i, run in enumerate(self._runs) if self._joined[i] == i and run.per_sample]
        for run in kept:
            run.per_sample.sort(key=lambda op: op.index)
            run.of_all.sort(key=lambda op: op.index)
            run.applications.sort(key=lambda a: a.op.index)
            run.entries.sort(key=lambda e: e.op.index)
        return kept

    def is_per_sample(self, value: Value) -> bool:
        return self._traces.get(value.root, _NONE).of_samples

    # -- following -------------------------------------------------------------------------------------------------

    def _trace(self, value: Value) -> _Trace:
        found = self._traces.get(value) or self._traces.get(value.root)
        if found is not None:
            return found
        parameter = self._parameter_of(value)
        if parameter is None:
            return _NONE
        made = self._traces[value] = _Trace(frozenset([parameter]))
        return made

    def _follow(self, op: Op) -> None:
        traces = {value: self._trace(value) for value in op.inputs}
        touched = [*op.outputs, *op.mutated]
        if not touched or all(trace is _NONE for trace in traces.values()):
            return
        made = self._made(op, traces)
        if made is _NONE:
            return
        for value in touched:
            if value.root is value or value.producer is not op:
                self._traces[value.root] = made
            self._traces[value] = made

    def _made(self, op: Op, traces: dict[Value, _Trace]) -> _Trace:
        weights = frozenset[Trained]().union(*(t.parameters for t in traces.values() if t.run is None))
        samples = {t.run for t in traces.values() if t.run is not None and not t.whole}
        if samples:
            return self._continued(self._join(samples), op, traces, weights)
        wholes = [t for t in traces.values() if t.run is not None]
        weights = weights.union(*(t.parameters for t in wholes))
        entry = self._entry(op, weights, [v for v, t in traces.items() if t is _NONE])
        if entry is not None:
            run = NetworkRun(len(self._runs), [entry], [entry], [op])
            self._runs.append(run)
            self._joined.append(run.number)
            for trace in wholes:
                self._run_of(trace).feeds = True
            return _Trace(run=run.number)
        if wholes:
            last = max((self._run_of(trace) for trace in wholes), key=lambda run: run.number)
            last.of_all.append(op)
            return _Trace(weights, last.number, True)
        return _Trace(weights)

    def _continued(
        self, run: NetworkRun, op: Op, traces: dict[Value, _Trace], weights: frozenset[Trained]
    ) -> _Trace:
        """`op` computes something of what `run` computes for every sample."""
        for value, trace in traces.items():
            if not trace.whole:
                continue
            source = self._run_of(trace)
            if source is run:
                run.joins.append((op, value))
            else:
                source.feeds = True
            weights |= trace.parameters
        if weights:
            run.applications.append(Application(op, weights))
        if _reduces_samples(op, run):
            run.of_all.append(op)
            return _Trace(run=run.number, whole=True)
        run.per_sample.append(op)
        call = batch_norm_call(op)
        if call is not None and call.uses_batch:
            run.joins.append((op, op.inputs[0]))
        return _Trace(run=run.number)

    def _entry(self, op: Op, weights: frozenset[Trained], data: list[Value]) -> Entry | None:
        if not weights:
            return None
        if op.operation in ops.LOOK_UPS:
            index = _index_of(op)
            if isinstance(index, Value) and index in data:
                return Entry(op, weights, index, 0, index.shape[0] if index.shape else None)
            if isinstance(index, list) and index and all(isinstance(i, int) for i in index):
                return Entry(op, weights, list(index), 0, len(index))
            return None
        if not data:
            return None
        met = max(data, key=lambda v: math.prod(v.shape))
        if is_linear_map(op):
            first = op.args and op.args[0] is met
            axis = 0 if first or op.operation not in (ops.MATMUL, ops.ADDMM) else -1
            return Entry(op, weights, met, axis, met.shape[axis] if len(met.shape) >= 2 else None)
        sizes = [math.prod(v.shape) for v in op.inputs if v is not met]
        made = next(iter(op.outputs), None)
        if made is None or not sizes or not met.shape or made.shape != met.shape:
            return None
        return Entry(op, weights, met, 0, met.shape[0]) if math.prod(made.shape) > max(sizes) else None

    def _run_of(self, trace: _Trace) -> NetworkRun:
        assert trace.run is not None
        number = trace.run
        while self._joined[number] != number:
            number = self._joined[number]
        return self._runs[number]

    def _join(self, numbers: Iterable[int]) -> NetworkRun:
        runs = {self._run_of(_Trace(run=number)) for number in numbers}
        first, *others = sorted(runs, key=lambda run: run.number)
        for other in others:
            self._joined[other.number] = first.number
            first.take(other)
        return first


def _index_of(op: Op) -> Any:
    """What chooses the rows of a look-up."""
    if op.operation is ops.EMBEDDING:
        place = 0
    else:
        place = 2 if op.name == "index_select" else min(1, len(op.args) - 1)
    return op.args[place] if 0 <= place < len(op.args) else None


def _reduces_samples(op: Op, run: NetworkRun) -> bool:
    if all(output.shape == () for output in op.outputs) and not is_linear_map(op):
        return True  # a loss
    if op.operation.family is not Family.REDUCTION:
        return False
    axes, rank = reduced_axes(op), len(op.inputs[0].shape)
    return axes is None or (rank > 0 and run.entries[0].axis % rank in axes)
