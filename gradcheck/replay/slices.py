"""Which ops a value needs: slices of the tape, backwards from what is wanted.

Values that share storage (views) are followed together: a write through one of them is a write to all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import count

from gradcheck.fronts.tape import Kind, Op, Value

_SKIPPED = (Kind.ESCAPE, Kind.BACKWARD, Kind.GRAD_WRITE, Kind.RETURNED)


class Slicer:
    """Knows which ops wrote to each storage, so that a slice costs what it holds and not what the tape holds."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self._ops = ops
        self._writers: dict[Value, list[int]] = {}
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
        values = [value for op in self._ops[start:stop] for value in (*op.inputs, *op.outputs)]
        return self.slice(values, 0, stop)

    def backwards(self, wanted: Iterable[Value], stop: int) -> Iterator[Op]:
        """The same without a start, the last op first."""
        needed: set[Value] = set()
        waiting: list[
            tuple[int, int, Value]
        ] = []  # the last writer of each needed storage, as a negative index
        ticket = count()

        def need(root: Value, before: int) -> None:
            """Wait for the last op before `before` that wrote to `root`."""
            writers = self._writers.get(root, ())
            position = bisect_left(writers, before)
            if position:
                heappush(waiting, (-writers[position - 1], next(ticket), root))

        for value in wanted:
            if value.root not in needed:
                needed.add(value.root)
                need(value.root, stop)
        while waiting:
            index = -waiting[0][0]
            wanted_here = []
            while waiting and -waiting[0][0] == index:
                wanted_here.append(heappop(waiting)[2])
            wanted_here = [root for root in wanted_here if root in needed]
            if not wanted_here:
                continue
            op = self._ops[index]
            yield op
            for value in op.outputs:
                if value.root is value and value.producer is op:
                    needed.discard(value)
            for root in wanted_here:
                if root in needed:
                    need(root, index)
            if op.kind is Kind.RANDOM:
                continue
            for value in op.inputs:
                if value.root not in needed:
                    needed.add(value.root)
                    need(value.root, index)


def roots_mutated(ops: Iterable[Op]) -> set[Value]:
    return {value.root for op in ops for value in op.mutated}


def produced(ops: Iterable[Op]) -> set[Value]:
    """All values the ops make (not those they only change)."""
    return {value for op in ops for value in op.outputs if value.producer is op}
