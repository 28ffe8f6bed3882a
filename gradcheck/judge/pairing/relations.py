"""How gradients on the tape hang together: which is the next stage of which, and what is computed from it.

Nothing here looks at numbers.
"""

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cached_property

from gradcheck import ops
from gradcheck.fronts.tape import Binding, Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.graph.derivations import computed_from_each
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.passes import Candidate, PassPlan, Version


class Relations:
    def __init__(self, plan: PassPlan, tape: list[Op], names: NameIndex) -> None:
        self._plan = plan
        self._tape = tape
        self._names = names
        self._successors: dict[Version, Version | None] = {}

    def successor(self, version: Version) -> Version | None:
        """The next version of what the person sees as one variable: changed in place, or rebound from itself."""
        if version not in self._successors:
            self._successors[version] = self._successor(version)
        return self._successors[version]

    def _successor(self, version: Version) -> Version | None:
        candidate = version.candidate
        if not version.final:
            return candidate.versions[candidate.versions.index(version) + 1]
        if candidate.binding is None:
            return None
        best: Candidate | None = None
        for other, binding in self._called.get(candidate.binding.variable, ()):
            if (
                other.value is not candidate.value
                and other.value.producer is not None
                and binding.scope == candidate.binding.scope
                and binding.when > candidate.binding.when
                and other.value.producer.index > version.after
                and (best is None or binding.when < (best.binding.when if best.binding else 0))
                and self._computed_from(other.value, candidate.value)
            ):
                best = other
        return best.versions[0] if best is not None and best.versions else None

    @cached_property
    def _called(self) -> dict[str, list[tuple[Candidate, Binding]]]:
        """The candidates that bear each name, in their order."""
        found: dict[str, list[tuple[Candidate, Binding]]] = defaultdict(list)
        for candidate in self._plan.candidates:
            for binding in candidate.bindings:
                found[binding.variable].append((candidate, binding))
        return found

    def consumers(self, version: Version) -> Iterator[Version]:
        """Later candidate versions computed from this one."""
        numbers, made_of = self._derived
        bit = 1 << numbers[version] if self._is_read_as(version) else 0
        for candidate in self._plan.candidates:
            if candidate is version.candidate:
                yield from candidate.versions[candidate.versions.index(version) + 1 :]
                continue
            for other in candidate.versions:
                if made_of[numbers[other]] & bit and other.after > version.after:
                    yield other

    def _is_read_as(self, version: Version) -> bool:
        """Whether what reads a tensor with several names may do so under this one."""
        candidate = version.candidate
        names = {binding.name for binding in candidate.bindings}
        if not candidate.second_name or candidate.binding is None or not all(map(str.isidentifier, names)):
            return True
        for op in self._tape[version.after + 1 : max(self._plan.stop, self._plan.last_op + 1)]:
            if any(value.root is candidate.value.root for value in op.inputs):
                statement = self._names.statement(op)
                if statement is None or op.scope != candidate.binding.scope:
                    return True
                if any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(statement)):
                    return True
        return False

    @cached_property
    def _derived(self) -> tuple[dict[Version, int], list[int]]:
        """A number for each version, and for each of those the versions that it is computed from, as bits."""
        plan = self._plan
        versions = sorted((v for c in plan.candidates for v in c.versions), key=lambda v: v.after)
        first = versions[0].after + 1 if versions else 0
        starts: dict[int, list[Value]] = defaultdict(list)
        for version in versions:
            starts[version.after + 1 - first].append(version.candidate.value)
        tape = self._tape[first : max(plan.stop, plan.last_op + 1)]
        no_steps = (Kind.ESCAPE, Kind.BACKWARD)
        made_of = computed_from_each(
            tape, starts, through=lambda op: op.kind not in no_steps, key=flow.storage
        )
        return {version: number for number, version in enumerate(versions)}, made_of

    def nearest(self, version: Version, among: Collection[Value]) -> list[Value]:
        """Of `among`, what its lines read directly."""
        own, start = version.candidate.value, self._plan.start

        def stop(value: Value) -> bool:
            made = value.producer is not None and value.producer.index > start
            return value in among or not made

        inputs = [value for op in version.writes for value in op.inputs if value is not own]
        read = flow.ancestors(*inputs, stop=stop)
        return [value for value in dict.fromkeys(read) if value in among and value is not own]

    def only_rescales(self, later: Version, version: Version) -> bool:
        """Whether all that happens to a gradient in between is that it is multiplied in place, by numbers: by a tensor,
        `mask *= upstream`, it only becomes a gradient."""
        writes = later.writes[len(version.writes) :]
        if later.candidate is not version.candidate or not writes:
            return False
        return all(op.operation in (ops.MUL, ops.DIV) and _by_a_number(op) for op in writes)

    def adds(self, sum_of: Version, version: Version) -> bool:
        """Whether a later gradient is a sum (or difference) that reads this one as a term."""
        root = version.candidate.value.root
        return any(
            op.operation in ops.ADDITIVE and any(value.root is root for value in op.inputs)
            for op in sum_of.writes
        )

    def only_added(self, version: Version) -> list[Version]:
        """The later gradients that read it, if each of them is the sum (or difference) that it is a term of, and
        nothing else reads it."""
        root = version.candidate.value.root
        found = []
        for op in self._readers.get(root, ()):
            if not version.after < op.index < self._plan.stop:
                continue
            made = self._made_by.get(op)
            if made is None or op.operation not in ops.ADDITIVE or made.candidate.value.root is root:
                return []
            found.append(made)
        return found

    @cached_property
    def _readers(self) -> dict[Value, list[Op]]:
        """By storage."""
        found: dict[Value, list[Op]] = defaultdict(list)
        for op in self._tape[self._plan.loss_op.index : self._plan.stop]:
            for root in {value.root for value in op.inputs}:
                found[root].append(op)
        return found

    @cached_property
    def _made_by(self) -> dict[Op, Version]:
        """By the last op that made it."""
        versions = (version for candidate in self._plan.candidates for version in candidate.versions)
        return {version.writes[-1]: version for version in versions if version.writes}

    def renamed_later(self, version: Version) -> bool:
        """Whether its name is given to another tensor later on."""
        binding = version.candidate.binding
        return binding is not None and (
            self._names.is_set_again(binding)
            or any(
                b.scope == binding.scope and b.when > binding.when
                for other, b in self._called.get(binding.variable, ())
                if other is not version.candidate
            )
        )

    def _computed_from(self, value: Value, source: Value) -> bool:
        """Whether the statement that made `value` read `source`: itself, or in a function that it called."""
        last = value.producer
        if last is None or source.producer is None:
            return False
        begin, statement = source.producer.index, self._names.statement(last)

        def is_outside(read: Value) -> bool:
            maker = read.producer
            return (
                maker is None
                or maker.index < begin
                or (maker.scope == last.scope and self._names.statement(maker) is not statement)
            )

        return any(read.root is source.root for read in flow.ancestors(*last.inputs, stop=is_outside))


def _by_a_number(op: Op) -> bool:
    factor = op.args[1] if len(op.args) > 1 else None
    return factor is not None and (not isinstance(factor, Value) or factor.shape == ())
