"""What of a step still has to be computed when some of its gradients are replaced: not what only they were made of."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gradcheck.fronts.tape import Kind, Value
from gradcheck.isolation.step import Substitution, TrainingStep
from gradcheck.ops import EXPAND


@dataclass
class Needed:
    """Indices of ops; and for each op the substitutions behind it that something reads. Those in `in_place` are read
    under another name as well, as a view of the same memory."""

    ops: set[int] = field(default_factory=set)
    substitutions: dict[int, list[Substitution]] = field(default_factory=dict)
    in_place: set[Substitution] = field(default_factory=set)


def needed(
    step: TrainingStep,
    substitutions: Mapping[int, Sequence[Substitution]],
    remade: Mapping[Value, Collection[Value]],
) -> Needed:
    """`remade` are values that are made in another way than by their op, and what they are then made of."""
    found = Needed()
    live = _Live([step.judged.plan.loss, *step.carried.values(), *step.changed])
    kept = step.changed | {value.root for value in step.carried}
    for op in reversed(step.ops):
        for substitution in reversed(substitutions.get(op.index, ())):
            value = substitution.value
            others = live.aliases(value)
            if not (value in live or others):
                continue
            found.substitutions.setdefault(op.index, []).insert(0, substitution)
            live.add(substitution.of)
            # Several elements in one place of memory cannot be written to.
            writable = value.producer is None or value.producer.operation is not EXPAND
            if (others or value.root in kept) and substitution.of.shape == value.shape and writable:
                found.in_place.add(substitution)
            else:
                live.remove(value)
        made = [value for value in op.outputs if value.producer is op]
        moved = any(live.holds_root(value.root) for value in op.mutated)
        if not (
            moved
            or op.kind in (Kind.RANDOM, Kind.RANDOM_MUTATE)
            or any(value in live for value in op.outputs)
        ):
            continue
        found.ops.add(op.index)
        for value in made:
            live.remove(value)
        of = remade.get(op.out) if isinstance(op.out, Value) else None
        for value in op.inputs if of is None else of:
            live.add(value)
        for value in op.outputs:
            if value.producer is not op:  # the very tensor it was given
                live.add(value)
    return found


class _Live:
    """Values that something later reads, with the memory they lie in."""

    def __init__(self, values: Collection[Value]) -> None:
        self._values: set[Value] = set()
        self._roots: Counter[Value] = Counter()
        for value in values:
            self.add(value)

    def __contains__(self, value: Value) -> bool:
        return value in self._values

    def add(self, value: Value) -> None:
        if value not in self._values:
            self._values.add(value)
            self._roots[value.root] += 1

    def remove(self, value: Value) -> None:
        if value in self._values:
            self._values.remove(value)
            self._roots[value.root] -= 1

    def holds_root(self, root: Value) -> bool:
        return self._roots[root] > 0

    def aliases(self, value: Value) -> bool:
        """Whether anything else in the same memory is live."""
        return self._roots[value.root] > (value in self._values)
