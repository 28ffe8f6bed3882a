"""Cuts a stretch of the tape into runs of a network: each time that its parameters are brought together with data.

A run begins where a parameter meets data that no parameter has touched yet, and holds all that is computed from there.
What one run computed of all its samples together (a mean, a variance) and another one reads joins the two into no
single run: the first only made statistics for the second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from gradcheck.fronts.tape import Kind, Op, Value

P = TypeVar("P", bound=Hashable)

_LOOKS_UP = {"__getitem__", "getitem", "index_select", "embedding", "take", "gather"}
MULTIPLIES = {
    "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "dot", "linear", "einsum", "addmm", "tensordot",
    "baddbmm", "inner", "conv1d", "conv2d", "conv3d",
}  # fmt: skip
_REDUCES = {
    "sum", "mean", "var", "std", "var_mean", "std_mean", "norm", "amax", "amin", "max", "min", "median", "logsumexp",
    "nanmean", "nansum", "average",
}  # fmt: skip
# What comes out of these is a choice: it is data for the next step.
_CHOOSES = {"argmax", "argmin", "searchsorted", "bincount", "argsort"}
NORMALISES = {"batch_norm", "instance_norm"}


@dataclass(frozen=True)
class Entry(Generic[P]):
    """`op` brings `parameters` together with `data`: a value, or Python numbers as they stand among the arguments."""

    op: Op
    parameters: frozenset[P]
    data: Any
    axis: int  # of the samples in the data
    rows: int | None  # how many samples; None for data without an axis for them

    @property
    def looks_up(self) -> bool:
        return self.op.name in _LOOKS_UP


@dataclass(frozen=True)
class Application(Generic[P]):
    """`op` applies `parameters` to values of the run."""

    op: Op
    parameters: frozenset[P]


@dataclass(eq=False)
class NetworkRun(Generic[P]):
    number: int
    entries: list[Entry[P]] = field(default_factory=list)
    applications: list[Application[P]] = field(default_factory=list)  # entries among them
    per_sample: list[Op] = field(default_factory=list)  # they compute something for every sample
    of_all: list[Op] = field(default_factory=list)  # they compute something of all samples together
    joins: list[tuple[Op, Value]] = field(default_factory=list)  # where the latter comes back to the samples
    feeds: bool = False  # another run reads what it computed of all its samples

    @property
    def parameters(self) -> set[P]:
        return {p for application in self.applications for p in application.parameters}

    @property
    def rows(self) -> int | None:
        known = [entry.rows for entry in self.entries if entry.rows is not None]
        return known[0] if known else None

    @property
    def begin(self) -> int:
        return min(entry.op.index for entry in self.entries)

    @property
    def end(self) -> int:
        return max(op.index for op in (*self.per_sample, *self.of_all)) + 1

    @property
    def signature(self) -> tuple[tuple[int, int], ...]:
        """The same for runs of the same lines in the same order."""
        return tuple((id(op.code), op.lasti) for op in self.per_sample)


@dataclass(frozen=True)
class _Trace(Generic[P]):
    """What a storage was computed from: parameters alone (`run` is None), or a run; `whole` if of all its samples."""

    parameters: frozenset[P] = frozenset()
    run: int | None = None
    whole: bool = False


class RunFinder(Generic[P]):
    def __init__(self, parameter_of: Callable[[Value], P | None]) -> None:
        self._parameter_of = parameter_of
        self._traces: dict[Value, _Trace[P]] = {}
        self._none: _Trace[P] = _Trace()
        self._runs: list[NetworkRun[P]] = []
        self._joined: list[int] = []

    def find(self, ops: Iterable[Op]) -> list[NetworkRun[P]]:
        for op in ops:
            self._follow(op)
        kept = [run for i, run in enumerate(self._runs) if self._joined[i] == i and run.per_sample]
        for run in kept:
            run.per_sample.sort(key=lambda op: op.index)
            run.of_all.sort(key=lambda op: op.index)
            run.applications.sort(key=lambda a: a.op.index)
            run.entries.sort(key=lambda e: e.op.index)
        return kept

    def is_per_sample(self, value: Value) -> bool:
        trace = self._traces.get(value.root)
        return trace is not None and trace.run is not None and not trace.whole

    def parameters_in(self, value: Value) -> frozenset[P]:
        """The parameters that a value is made of, where no data is in it."""
        trace = self._trace(value)
        return trace.parameters if trace.run is None else frozenset()

    # -- following -------------------------------------------------------------------------------------------------

    def _trace(self, value: Value) -> _Trace[P]:
        for place in (value, value.root):
            found = self._traces.get(place)
            if found is not None:
                return found
        parameter = self._parameter_of(value)
        if parameter is None:
            return self._none
        made = self._traces[value] = _Trace(frozenset([parameter]))
        return made

    def _follow(self, op: Op) -> None:
        if op.kind in (
            Kind.ESCAPE,
            Kind.BACKWARD,
            Kind.GRAD_WRITE,
            Kind.GRAD_READ,
            Kind.RANDOM,
            Kind.RANDOM_MUTATE,
        ):
            return
        if op.kind is Kind.CREATE or op.name in _CHOOSES:
            return
        inputs = op.inputs
        traces = [self._trace(value) for value in inputs]
        if all(trace is self._none for trace in traces) or not inputs:
            return
        touched = [*op.outputs, *op.mutated]
        if not touched:
            return
        made = self._made(op, inputs, traces)
        if made is self._none:
            return
        for value in touched:
            if value.root is value or value.producer is not op:
                self._traces[value.root] = made
            self._traces[value] = made

    def _made(self, op: Op, inputs: list[Value], traces: list[_Trace[P]]) -> _Trace[P]:
        weights: frozenset[P] = frozenset().union(*(t.parameters for t in traces if t.run is None))
        samples = [t for t in traces if t.run is not None and not t.whole]
        wholes = [t for t in traces if t.run is not None and t.whole]
        if samples:
            run = self._join({t.run for t in samples if t.run is not None})
            for value, trace in zip(inputs, traces, strict=True):
                if trace.run is None or not trace.whole:
                    continue
                source = self._runs[self._root(trace.run)]
                if source is run:
                    run.joins.append((op, value))
                else:
                    source.feeds = True
                weights |= trace.parameters
            if weights:
                run.applications.append(Application(op, weights))
            if self._reduces_samples(op, inputs, traces, run):
                run.of_all.append(op)
                return _Trace(frozenset(), run.number, True)
            run.per_sample.append(op)
            if op.name in NORMALISES and _uses_batch(op):
                run.joins.append((op, inputs[0]))
            return _Trace(frozenset(), run.number, False)
        weights |= frozenset().union(*(t.parameters for t in wholes))
        fixed = bool(weights) or bool(wholes)
        data = [v for v, t in zip(inputs, traces, strict=True) if t is self._none]
        entry = self._entry(op, weights, data) if fixed else None
        if entry is not None:
            run = NetworkRun(len(self._runs))
            self._runs.append(run)
            self._joined.append(run.number)
            run.entries.append(entry)
            run.applications.append(Application(op, weights))
            run.per_sample.append(op)
            for trace in wholes:
                assert trace.run is not None
                self._runs[self._root(trace.run)].feeds = True
            return _Trace(frozenset(), run.number, False)
        if wholes:
            last = max(self._root(t.run) for t in wholes if t.run is not None)
            self._runs[last].of_all.append(op)
            return _Trace(weights, last, True)
        return _Trace(weights)

    def _entry(self, op: Op, weights: frozenset[P], data: list[Value]) -> Entry[P] | None:
        if not weights:
            return None
        if op.name in _LOOKS_UP:
            index = (
                op.args[1] if op.name != "embedding" and len(op.args) > 1 else op.args[0] if op.args else None
            )
            if op.name == "index_select":
                index = op.args[2] if len(op.args) > 2 else None
            if isinstance(index, Value) and index in data:
                rows = index.shape[0] if index.shape else None
                return Entry(op, weights, index, 0, rows)
            if isinstance(index, list) and index and all(isinstance(i, int) for i in index):
                return Entry(op, weights, list(index), 0, len(index))
            return None
        if not data:
            return None
        met = max(data, key=lambda v: math.prod(v.shape))
        if op.name in MULTIPLIES:
            left = bool(op.args) and op.args[0] is met
            axis = 0 if left or op.name in ("linear", "conv1d", "conv2d", "conv3d", "einsum") else -1
            rows = met.shape[axis] if len(met.shape) >= 2 else None
            return Entry(op, weights, met, axis, rows)
        outputs = op.outputs
        others = [v for v in op.inputs if v is not met]
        larger = outputs and others and all(_count(outputs[0]) > _count(v) for v in others)
        if larger and met.shape and tuple(outputs[0].shape) == tuple(met.shape):
            return Entry(op, weights, met, 0, met.shape[0])
        return None

    def _reduces_samples(
        self, op: Op, inputs: list[Value], traces: list[_Trace[P]], run: NetworkRun[P]
    ) -> bool:
        if all(output.shape == () for output in op.outputs) and op.name not in MULTIPLIES:
            return True  # a loss
        if op.name not in _REDUCES:
            return False
        source = inputs[0]
        axis = run.entries[0].axis
        dims = _dimensions(op)
        if dims is None:
            return True
        size = len(source.shape)
        return size > 0 and (axis % size) in {
            d % size for d in dims if isinstance(d, int) and -size <= d < size
        }

    def _root(self, number: int) -> int:
        while self._joined[number] != number:
            number = self._joined[number]
        return number

    def _join(self, numbers: set[int]) -> NetworkRun[P]:
        roots = sorted({self._root(number) for number in numbers})
        first = self._runs[roots[0]]
        for other in roots[1:]:
            self._joined[other] = roots[0]
            gone = self._runs[other]
            first.entries += gone.entries
            first.applications += gone.applications
            first.per_sample += gone.per_sample
            first.of_all += gone.of_all
            first.joins += gone.joins
            first.feeds = first.feeds or gone.feeds
        return first


def slice_of(run: NetworkRun[P], ops: Sequence[Op]) -> list[Op]:
    """The ops that compute the run, from its beginning on; `ops` are those of the stretch, in order."""
    needed = {v.root for op in run.per_sample for v in (*op.outputs, *op.mutated)}
    chosen: list[Op] = []
    begin, end = run.begin, run.end
    for op in reversed(ops):
        if op.index >= end:
            continue
        if op.index < begin:
            break
        if op.kind is Kind.ESCAPE:
            continue
        if any(v.root in needed for v in (*op.outputs, *op.mutated)):
            chosen.append(op)
            needed.update(v.root for v in op.inputs)
    chosen.reverse()
    return chosen


def _dimensions(op: Op) -> list[Any] | None:
    """The axes that a reduction goes over; None if over all."""
    kwargs = op.kwargs or {}
    dims = kwargs.get("dim", kwargs.get("axis"))
    if dims is None and len(op.args) > 1 and not isinstance(op.args[1], (Value, bool, float)):
        dims = op.args[2] if op.name == "norm" and len(op.args) > 2 else op.args[1]
    if dims is None:
        return None
    return list(dims) if isinstance(dims, (tuple, list)) else [dims]


def _uses_batch(op: Op) -> bool:
    kwargs = op.kwargs or {}
    if op.name == "instance_norm":
        return False
    training = kwargs.get("training", op.args[5] if len(op.args) > 5 else False)
    running = kwargs.get("running_mean", op.args[1] if len(op.args) > 1 else None)
    return bool(training) or running is None


def _count(value: Value) -> int:
    return math.prod(value.shape)
