"""What a value of the forward pass was before an op changed it in place: it has a gradient of its own.

`h = x @ W; h.relu_()`: `dh` is the gradient of what `h` is in the end, and `dpre` of what it was before.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.lower import node_of
from gradcheck.replay.slices import roots_mutated

_MOST = 4  # what is changed more often is a buffer that is filled


@dataclass(slots=True, eq=False, repr=False)
class EarlierVersion(Value):
    """The versions of a value all have its names."""

    now: Value | None = None


@dataclass(slots=True, eq=False, repr=False)
class Carried(EarlierVersion):
    """A value as it is read from an op on, in the next turn of a loop say: what comes back from there is a part of its
    gradient, and what a backward pass carries from one turn to the next."""

    turn: int = 0  # which of the ways on it is
    at: int = 0  # the op that reads it first


def carried_values(forward: list[Op]) -> dict[int, list[Carried]]:
    """By the index of the op from which on it is read, each value that a loop or another function reads once more."""
    readers: dict[Value, list[Op]] = defaultdict(list)
    changed = roots_mutated(forward)
    for op in forward:
        for value in dict.fromkeys(op.inputs):
            if value.producer is not None and value.root not in changed:
                readers[value].append(op)
    found: list[Carried] = []
    for value, its in readers.items():
        turns = [op for last, op in pairwise(its) if op.scope != last.scope or op.lasti <= last.lasti]
        for turn, op in enumerate(turns[:_MOST]):
            found.append(Carried(value.producer, value.birth, value.shape, now=value, turn=turn, at=op.index))
            found[-1].root = value.root
    return carried_in(found)


def carried_in(values: Iterable[Value]) -> dict[int, list[Carried]]:
    found: dict[int, list[Carried]] = defaultdict(list)
    for value in values:
        if isinstance(value, Carried):
            found[value.at].append(value)
    return dict(found)


def earlier_versions(forward: Iterable[Op]) -> dict[int, EarlierVersion]:
    """By the index of the op that changes it, what a value was before. The same ones for the same ops, always."""
    changing = [
        (op, root)
        for op in forward
        if op.kind is Kind.MUTATE
        for root in {value.root for value in op.mutated}
    ]
    times = Counter(root for _, root in changing)
    found: dict[int, EarlierVersion] = {}
    for op, root in changing:
        made = root.producer
        if times[root] > _MOST or (made is not None and made.operation in ops.UNIFORM):
            continue
        node = node_of(op)
        if node.before is None:
            node.before = EarlierVersion(made, root.birth, root.shape, now=root)
            node.before.root = root
        assert isinstance(node.before, EarlierVersion)
        found[op.index] = node.before
    return found


def as_of_now(value: Value) -> Value:
    """The value that the program sees."""
    return value.now if isinstance(value, EarlierVersion) and value.now is not None else value
