"""What a value of the forward pass was before an op changed it in place: it has a gradient of its own.

`h = x @ W; h.relu_()`: `dh` is the gradient of what `h` is in the end, and `dpre` of what it was before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.lower import node_of

_MOST = 4  # what is changed more often is a buffer that is filled


@dataclass(slots=True, eq=False, repr=False)
class EarlierVersion(Value):
    """The versions of a value all have its names."""

    now: Value | None = None


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
