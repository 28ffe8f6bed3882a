"""The one dataflow: what a value was computed from, what was computed from it, and what carries a mark.

Every question is one walk over steps in program order. A step is anything with `inputs`, `outputs` and `mutated`
(values it changes in place): an op of the tape or a node of the graph. `key` says when two values are the same
thing: themselves, or, with `storage`, whatever shares their memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from gradcheck.fronts.tape import Value
from gradcheck.ops import NO_COMPUTATION


class Step(Protocol):
    """One operation that was executed."""

    @property
    def inputs(self) -> Sequence[Value]: ...

    @property
    def outputs(self) -> Sequence[Value]: ...

    @property
    def mutated(self) -> Sequence[Value]: ...


S = TypeVar("S", bound=Step)
M = TypeVar("M", bound=Hashable)
Key = Callable[[Value], Value]


def itself(value: Value) -> Value:
    """Two values are the same only if they are one."""
    return value


def copied(value: Value) -> Value:
    """What it is a copy of: `x` for `x.detach().clone()`."""
    while value.producer is not None and value.producer.operation in NO_COMPUTATION and value.producer.inputs:
        value = value.producer.inputs[0]
    return value


def storage(value: Value) -> Value:
    """Values that share memory are the same."""
    return value.root


def forward(
    steps: Iterable[S], start: Collection[Value], *, through: Callable[[S], bool] | None = None,
    into: Callable[[Value], bool] | None = None, key: Key = itself,
) -> set[Value]:  # fmt: skip
    """`start` and everything computed from it, by steps that `through` accepts, as far as `into` accepts it. Keys are
    returned."""
    return {key(value) for value in start} | computed_from(steps, start, through=through, into=into, key=key)


def computed_from(
    steps: Iterable[S], start: Collection[Value], *, through: Callable[[S], bool] | None = None,
    into: Callable[[Value], bool] | None = None, key: Key = itself,
) -> set[Value]:  # fmt: skip
    """The same without `start`, but for what of it is changed again."""
    return set().union(*(written for _, written in _ahead(steps, start, through, into, key)))


def steps_from(steps: Iterable[S], start: Collection[Value], *, key: Key = itself) -> list[S]:
    """The steps that compute something from `start`, in program order."""
    return [step for step, _ in _ahead(steps, start, None, None, key)]


def backward(
    steps: Sequence[S], ends: Collection[Value], *, through: Callable[[S], bool] | None = None,
    into: Callable[[Value], bool] | None = None, key: Key = itself,
) -> set[Value]:  # fmt: skip
    """`ends` and everything they were computed from, by steps that `through` accepts, as far as `into` accepts it. Keys
    are returned."""
    wanted = {key(value) for value in ends}
    for _ in _behind(steps, wanted, through, into, key):
        pass
    return wanted


def slice_for(
    steps: Sequence[S],
    ends: Collection[Value],
    *,
    into: Callable[[Value], bool] | None = None,
    key: Key = storage,
) -> list[S]:
    """The steps that have to run for `ends` to be there, in program order; what `into` does not accept is there."""
    return list(_behind(steps, {key(value) for value in ends}, None, into, key))[::-1]


def between(
    steps: Sequence[S],
    start: Collection[Value],
    ends: Collection[Value],
    *,
    into: Callable[[Value], bool] | None = None,
    key: Key = itself,
) -> list[S]:
    """The steps on a way from `start` to `ends` through values that `into` accepts, in program order."""
    reached = forward(steps, start, into=into, key=key)

    def on_the_way(step: S) -> bool:
        return any(key(value) in reached for value in step.inputs)

    return list(_behind(steps, {key(value) for value in ends}, on_the_way, None, key))[::-1]


def _ahead(
    steps: Iterable[S],
    start: Collection[Value],
    through: Callable[[S], bool] | None,
    into: Callable[[Value], bool] | None,
    key: Key,
) -> Iterator[tuple[S, set[Value]]]:
    """Each step that reads what is reached so far, with what it makes of it."""
    reached = {key(value) for value in start}
    for step in steps:
        if any(key(value) in reached for value in step.inputs) and (through is None or through(step)):
            touched = (*step.outputs, *step.mutated)
            written = {key(value) for value in touched if into is None or into(value)}
            reached |= written
            yield step, written


def _behind(
    steps: Sequence[S],
    wanted: set[Value],
    through: Callable[[S], bool] | None,
    into: Callable[[Value], bool] | None,
    key: Key,
) -> Iterator[S]:
    """Each step that makes something of what is wanted, the last one first; what it reads is wanted then."""
    for step in reversed(steps):
        made = (*step.outputs, *step.mutated)
        if any(key(value) in wanted for value in made) and (through is None or through(step)):
            wanted.update(key(value) for value in step.inputs if into is None or into(value))
            yield step


def taint(
    steps: Iterable[S], marks: Mapping[Value, frozenset[M]], *, key: Key = itself
) -> dict[Value, frozenset[M]]:
    """The marks that every value carries, `marks` being those at the beginning."""
    carried: Marks[M] = Marks(key)
    for value, found in marks.items():
        carried.add(value, found)
    for step in steps:
        carried.follow(step)
    return carried.carried


class Marks(Generic[M]):
    """The marks that values carry, followed step by step: for marks that are only known on the way."""

    def __init__(self, key: Key = storage) -> None:
        self._key = key
        self.carried: dict[Value, frozenset[M]] = {}

    def of(self, *values: Value) -> frozenset[M]:
        """The marks that any of the values carries."""
        found: frozenset[M] = frozenset()
        carried, key = self.carried, self._key
        for value in values:
            marks = carried.get(key(value))
            if marks and marks is not found:
                found = found | marks if found else marks
        return found

    def add(self, value: Value, marks: Iterable[M]) -> None:
        key = self._key(value)
        before = self.carried.get(key)
        self.carried[key] = before.union(marks) if before else frozenset(marks)

    def replace(self, value: Value, marks: frozenset[M]) -> None:
        """Forget what the value carried: it is overwritten."""
        self.carried[self._key(value)] = marks

    def follow(self, step: Step, inputs: Iterable[Value] | None = None) -> None:
        """What the step makes or changes carries what its inputs (or those given in their place) carry."""
        arriving = self.of(*(step.inputs if inputs is None else inputs))
        if arriving:
            for value in (*step.outputs, *step.mutated):
                self.add(value, arriving)


def ancestors(
    *values: Value, through: Callable[[Step], bool] | None = None, stop: Callable[[Value], bool] | None = None
) -> list[Value]:
    """`values` and what they were computed from, by the step that made each (later changes in place are not followed),
    nearest first. A value that `stop` accepts is among them and is not looked behind."""
    found: dict[Value, None] = dict.fromkeys(values)
    pending = deque(found)
    while pending:
        current = pending.popleft()
        step = current.producer
        if step is None or (stop and stop(current)) or (through and not through(step)):
            continue
        for read in step.inputs:
            if read not in found:
                found[read] = None
                pending.append(read)
    return list(found)


def new_storages(steps: Iterable[S], start: Collection[Value]) -> set[Value]:
    """The storages that are computed from `start`. A view of one of those is not computed: it is that one."""
    given, found = {value.root for value in start}, set[Value]()
    for step in steps:
        read = {value.root for value in step.inputs}
        if not read.isdisjoint(given) or not read.isdisjoint(found):
            found |= {value.root for value in step.outputs if value.producer is step} - read
    return found


def readers(steps: Iterable[S]) -> dict[Value, list[S]]:
    """The steps that read each value, in program order."""
    return _by_value((step, step.inputs) for step in steps)


def makers(steps: Iterable[S]) -> dict[Value, list[S]]:
    """The steps that made or changed each value, in program order."""
    return _by_value((step, (*step.outputs, *step.mutated)) for step in steps)


def _by_value(pairs: Iterable[tuple[S, Sequence[Value]]]) -> dict[Value, list[S]]:
    found: dict[Value, list[S]] = {}
    for step, values in pairs:
        for value in dict.fromkeys(values) if len(values) > 1 else values:
            found.setdefault(value, []).append(step)
    return found
