"""The forward walk of `flow.computed_from` for many starts at once: one walk over a long tape, and not one for each."""

from collections.abc import Callable, Mapping, Sequence

from gradcheck.fronts.tape import Value
from gradcheck.graph.flow import Key, S, itself


def computed_from_each(
    steps: Sequence[S],
    starts: Mapping[int, list[Value]],
    *,
    through: Callable[[S], bool] | None = None,
    key: Key = itself,
) -> list[int]:
    """`computed_from` for many starts in one walk; `starts` says after how many steps they are there. For each start,
    counted by those numbers and then in their order: the starts that it is computed from, as bits."""
    carried: dict[Value, int] = {}
    derived: dict[Value, int] = {}
    found: list[int] = []
    bit = 1
    for index in range(len(steps) + 1):
        for value in starts.get(index, ()):
            found.append(derived.get(key(value), 0))
            carried[key(value)] = carried.get(key(value), 0) | bit
            bit <<= 1
        if index == len(steps):
            break
        step = steps[index]
        arriving = 0
        for value in step.inputs:
            arriving |= carried.get(key(value), 0)
        if arriving and (through is None or through(step)):
            for value in (*step.outputs, *step.mutated):
                k = key(value)
                carried[k] = carried.get(k, 0) | arriving
                derived[k] = derived.get(k, 0) | arriving
    return found
