"""Which ops a value needs: slices of the tape, backwards from what is wanted.

Values that share storage (views) are followed together: a write through one of them is a write to all.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from math import inf

from gradcheck.fronts.tape import Kind, Op, Value

_SKIPPED = (Kind.ESCAPE, Kind.BACKWARD, Kind.GRAD_WRITE, Kind.RETURNED)


class Slicer:
    """Knows which ops wrote to each storage, so that a slice costs what it holds and not what the tape holds."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self.ops = ops
        self._writers: dict[Value, list[int]] = {}
        self._flow: dict[int, tuple[tuple[Value, ...], tuple[Value, ...]]] = {}  # by op
        for op in ops:
            if op.kind in _SKIPPED:
                continue
            for root in {value.root for value in (*op.outputs, *op.mutated)}:
                self._writers.setdefault(root, []).append(op.index)

    def slice(self, wanted: Iterable[Value], start: int, stop: int) -> list[Op]:
        """The ops from `start` to `stop` that `wanted` (as they are after op `stop - 1`) depend on, in order."""
        chosen: list[Op] = []
        for op in self.backwards(wanted, stop):
            if op.index < start:
                break
            chosen.append(op)
        chosen.reverse()
        return chosen

    def all_of(self, start: int, stop: int) -> list[Op]:
        """The ops from `start` to `stop`, and what they depend on."""
        values = [value for op in self.ops[start:stop] for value in (*op.inputs, *op.outputs)]
        return self.slice(values, 0, stop)

    def backwards(self, wanted: Iterable[Value], stop: int) -> Iterator[Op]:
        """The same without a start, the last op first."""
        needed: set[Value] = set()
        waiting: list[int] = []  # ops still to come, as negative indices
        # By such an op, the needed storages that it is the last to write to.
        wanted_of: dict[int, list[Value]] = {}
        all_writers, ops = self._writers, self.ops

        def need(root: Value, before: int) -> None:
            """Wait for the last op before `before` that wrote to `root`."""
            writers = all_writers.get(root, ())
            position = bisect_left(writers, before)
            if position:
                writer = writers[position - 1]
                roots = wanted_of.get(writer)
                if roots is None:
                    wanted_of[writer] = [root]
                    heappush(waiting, -writer)
                else:
                    roots.append(root)

        for value in wanted:
            if value.root not in needed:
                needed.add(value.root)
                need(value.root, stop)
        while waiting:
            index = -heappop(waiting)
            wanted_here = [root for root in wanted_of.pop(index) if root in needed]
            if not wanted_here:
                continue
            op = ops[index]
            yield op
            read, made = self._flow_of(op)
            needed.difference_update(made)
            for root in wanted_here:
                if root in needed:
                    need(root, index)
            for root in read:
                if root not in needed:
                    needed.add(root)
                    need(root, index)

    def _flow_of(self, op: Op) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
        """The storages that it reads, and those that are there since then."""
        found = self._flow.get(op.index)
        if found is None:
            read = () if op.kind is Kind.RANDOM else tuple([value.root for value in op.inputs])
            made = tuple([v for v in op.outputs if v.root is v and v.producer is op])
            found = self._flow[op.index] = read, made
        return found


def roots_mutated(ops: Iterable[Op]) -> set[Value]:
    return {value.root for op in ops for value in op.mutated}


def last_writes(ops: Sequence[Op]) -> dict[Value, float]:
    """By storage, the last op that writes to it; unknown is that of what comes to lie in the memory of another."""
    found: dict[Value, float] = {value.root: op.index for op in ops for value in op.mutated}
    found.update((v.root, inf) for op in ops if op.kind is Kind.DATA_WRITE for v in op.mutated)
    return found


def produced(ops: Iterable[Op]) -> set[Value]:
    """All values the ops make (not those they only change)."""
    return {v for op in ops for v in op.outputs if v.producer is not None and v.producer.index == op.index}


def read_from_outside(ops: Sequence[Op]) -> list[Value]:
    """What `ops` read and none of them makes, in the order of first use."""
    made = produced(ops)
    return list(dict.fromkeys(value for op in ops for value in op.inputs if value not in made))


def is_known(op: Op, known: Container[Value]) -> bool:
    return isinstance(op.out, Value) and op.out.producer is op and op.out in known


def leading_to(
    ops: Sequence[Op],
    wanted: set[Value],
    given: Mapping[int, Sequence[Value]],
    known: Container[Value] = frozenset(),
) -> list[Op]:
    """Of these ops, what the storages `wanted` depend on, where some values are `given` after an op, and those `known` need
    not be computed."""
    viewed = {value.root for op in ops for value in op.outputs if value.root is not value}
    needed, found = set(wanted), []
    for op in reversed(ops):
        # What is a view of it, or has one, is given together with others.
        needed.difference_update(v for v in given.get(op.index, ()) if v.root is v and v not in viewed)
        made = op.outputs
        if needed.isdisjoint(value.root for value in (*made, *op.mutated)):
            continue
        found.append(op)
        needed.difference_update(v for v in made if v.root is v and v.producer is op)
        if not is_known(op, known):
            needed.update(value.root for value in op.inputs)
    found.reverse()
    return found


def last_used(
    ops: Iterable[Op], wanted: Container[Value], asked: Mapping[int, Sequence[Value]] | None = None
) -> dict[int, list[Value]]:
    """By op, the values that no later op needs, nor anybody afterwards, nor who has `asked` for them at an op."""
    others = asked or {}
    last = {v: op.index for op in ops for v in (*op.inputs, *op.outputs, *others.get(op.index, ()))}
    found: dict[int, list[Value]] = defaultdict(list)
    for value, index in last.items():
        if value not in wanted:
            found[index].append(value)
    return found
