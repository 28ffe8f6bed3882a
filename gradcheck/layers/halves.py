"""Features that a layer turns in pairs: where their number is odd, `forward` runs all the same, and means nothing."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value

_FEWEST = 5  # of two or three, any part is nearly a half


def are_uneven(recorded: Iterable[Op]) -> bool:
    """Whether something was split into two parts, one of which is longer by one: halves were meant."""
    parts: dict[Value, set[tuple[int, ...]]] = defaultdict(set)
    for op in recorded:
        if op.operation is ops.SPLIT or op.operation is ops.GETITEM:
            parts[op.inputs[0]].update(tuple(part.shape) for part in op.outputs)
    return any(_are_halves(of.shape, *two) for of, shapes in parts.items() for two in combinations(shapes, 2))


def _are_halves(whole: tuple[int, ...], one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    if not len(whole) == len(one) == len(other):
        return False
    split = [(n, a, b) for n, a, b in zip(whole, one, other, strict=True) if not n == a == b]
    return len(split) == 1 and all(n >= _FEWEST and n == a + b and abs(a - b) == 1 for n, a, b in split)
