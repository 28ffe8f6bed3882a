"""Who wrote to each storage and who read it, in program order: walks that respect when something happened."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from gradcheck.fronts.tape import Kind, Op, Value


class History:
    """Of a piece of the tape."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self._writers: dict[Value, list[Op]] = defaultdict(list)
        self._readers: dict[Value, list[Op]] = defaultdict(list)
        self.made: set[Value] = set()  # storages that were allocated here
        for op in ops:
            if op.kind is Kind.ESCAPE:
                continue
            self.made.update(v for v in op.outputs if v.root is v and v.producer is op)
            for root in {value.root for value in (*op.outputs, *op.mutated)}:
                self._writers[root].append(op)
            for root in {value.root for value in op.inputs}:
                self._readers[root].append(op)

    def makers(self, roots: Sequence[Value], before: int, stop: Collection[Op] = frozenset()) -> Iterator[Op]:
        """What the storages `roots` were computed by before op `before`, the nearest first. An op in `stop` is among
        them, and nothing behind it."""
        pending, seen = [(root, before) for root in roots], set()
        while pending:
            following: list[tuple[Value, int]] = []
            for root, moment in pending:
                for op in reversed(self._writers.get(root, ())):
                    if op.index >= moment or op in seen:
                        continue
                    seen.add(op)
                    yield op
                    if op in stop:
                        continue
                    following.extend((value.root, op.index) for value in op.inputs)
                    if any(value.root is value and value.root is root for value in op.outputs):
                        break  # allocated here: earlier writes are of another
            pending = following

    def users(self, value: Value, after: int) -> Iterator[Op]:
        """All ops after op `after` that compute something from `value`."""
        pending, seen = [(value.root, after)], set()
        while pending:
            root, moment = pending.pop()
            for op in self._readers.get(root, ()):
                if op.index > moment and op not in seen:
                    seen.add(op)
                    yield op
                    pending.extend((out.root, op.index) for out in (*op.outputs, *op.mutated))
