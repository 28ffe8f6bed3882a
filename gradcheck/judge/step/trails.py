"""Which gradients every gradient, and every move of a parameter, was computed from.

The tape is followed from the forward pass to the end of the step. Every storage carries the gradients it was last
computed from; at a gradient the trail ends and begins anew, so what is carried are always the *nearest* gradients.
A gradient that is built over several lines is another one after each of them: what was read in between was read
unfinished.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.replay.passes import Version

# These replace what the storage held: nothing of it is carried on.
_OVERWRITES = {"zero_", "fill_", "copy_"}
# Their answer is a yes or a no, or text for people: no number comes back into the step.
_ONLY_COMPARES = {"__bool__", "allclose", "equal", "is_nonzero", "__contains__"}

_OPS_AFTERWARDS = 2_000  # that are looked through for a move nobody knows as an update


@dataclass(frozen=True, slots=True)
class Trail:
    """What a storage was computed from: identities of `Version`s. `autograd`: also from a gradient that autograd
    computed."""

    versions: frozenset[int] = frozenset()
    autograd: bool = False

    def __or__(self, other: Trail) -> Trail:
        if other is self or other == _NOTHING:
            return self
        if self == _NOTHING:
            return other
        return Trail(self.versions | other.versions, self.autograd or other.autograd)


_NOTHING = Trail()


@dataclass(frozen=True, slots=True)
class Move:
    """An op that changes, or replaces, something that the forward pass read."""

    op: Op
    trail: Trail


class Flow:
    def __init__(self, judge: Judge) -> None:
        self._plan = judge.plan
        self.judged: dict[int, Judged] = {id(j.version): j for j in judge.judged}
        self._trails: dict[Value, Trail] = {}
        self._versions = {id(v): v for candidate in judge.plan.candidates for v in candidate.versions}
        self._reads: dict[int, set[int]] = defaultdict(set)
        self._read_by: dict[int, set[int]] = defaultdict(set)
        self._consequential: set[int] = (
            set()
        )  # versions that something outside of the backward pass was made from
        self.escaped: set[int] = set()  # versions whose numbers Python or NumPy was given
        self.moves: dict[Value, list[Move]] = defaultdict(list)
        self.assigned: dict[Value, list[Move]] = defaultdict(list)  # to the `.grad` of the key
        self._met: dict[
            Value, Trail
        ] = {}  # gradients that something of the key's shape was computed from with it
        self._forward_roots = {value.root for value in judge.plan.forward_values}
        self._follow_all(judge.ops)

    # -- questions -------------------------------------------------------------------------------------------------

    def reads(self, version: Version) -> list[Version]:
        """The nearest gradients, as far as they had been built, that this one was computed from."""
        found = [self._versions[key] for key in self._reads[id(version)]]
        return sorted(found, key=lambda v: v.after)

    def is_used(self, version: Version) -> bool:
        """Whether a judged gradient, a move of a parameter or a `.grad` was computed from it."""
        pending, seen = [id(version)], {id(version)}
        while pending:
            current = pending.pop()
            if current in self._consequential:
                return True
            for reader in self._read_by[current] - seen:
                if self._is_gradient(reader):
                    return True
                seen.add(reader)
                pending.append(reader)
        return False

    def judged_sources(self, trail: Trail) -> list[Judged]:
        """The nearest *judged* gradients behind a trail: what a momentum buffer was filled from."""
        found: list[Judged] = []
        pending, seen = list(trail.versions), set(trail.versions)
        while pending:
            version = pending.pop()
            judged = self._judged_as(version)
            if judged is not None:
                found.append(judged)
                continue
            pending.extend(self._reads[version] - seen)
            seen |= self._reads[version]
        return sorted(found, key=lambda j: j.version.after)

    def _judged_as(self, version: int) -> Judged | None:
        """The judged gradient that a version is, or was made of by changing it in place (clipping by norm)."""
        versions = self._versions[version].candidate.versions
        position = next(i for i, v in enumerate(versions) if id(v) == version)
        earlier = (self.judged.get(id(v)) for v in reversed(versions[: position + 1]))
        return next((judged for judged in earlier if judged is not None and judged.of is not None), None)

    def met(self, root: Value) -> list[Judged]:
        """The gradients that something of the same shape was computed from, together with the value: perhaps its
        successor, under a name nobody can tell."""
        return self.judged_sources(self._met.get(root, _NOTHING))

    def _is_gradient(self, version: int) -> bool:
        judged = self.judged.get(version)
        return judged is not None and judged.of is not None

    # -- following the tape ----------------------------------------------------------------------------------------

    def _follow_all(self, ops: list[Op]) -> None:
        versions_after: dict[int, list[Version]] = defaultdict(list)
        writes: dict[int, list[Version]] = defaultdict(list)
        for version in self._versions.values():
            versions_after[version.after].append(version)
            for op in version.writes:
                writes[op.index].append(version)
        replaces = {u.op.index: u.parameter for u in self._plan.updates if not u.in_place}
        for op in ops[self._plan.start : self._end()]:
            if op.kind is Kind.BACKWARD:
                continue
            if op.kind is Kind.ESCAPE:
                if op.name not in _ONLY_COMPARES:
                    self._escapes(op)
                continue
            if op.kind is Kind.GRAD_READ:
                for value in op.outputs:
                    if value.autograd_of is not None:
                        self._trails[value.root] = Trail(autograd=True)
                continue
            for version in writes[op.index]:
                own = version.candidate.value.root
                for source in self._carried(v for v in op.inputs if v.root is not own).versions:
                    if self._versions[source].candidate is not version.candidate:
                        self._reads[id(version)].add(source)
                        self._read_by[source].add(id(version))
            self._follow(op, replaces.get(op.index))
            for version in versions_after[op.index]:
                self._trails[version.candidate.value.root] = Trail(frozenset({id(version)}))

    def _end(self) -> int:
        """Outside of a training loop a pass may reach to the end of a long tape, of which little is its own."""
        plan = self._plan
        if plan.iteration is not None:
            return plan.stop
        last = max((update.op.index for update in plan.updates), default=0)
        return min(plan.stop, max(last, plan.last_op) + _OPS_AFTERWARDS)

    def _carried(self, values: Iterable[Value]) -> Trail:
        trail = _NOTHING
        for value in values:
            trail = trail | self._trails.get(value.root, _NOTHING)
        return trail

    def _follow(self, op: Op, replaced: Value | None) -> None:
        if op.kind is Kind.GRAD_WRITE:
            given = self._carried(op.inputs[1:])
            if op.inputs:
                self.assigned[op.inputs[0].root].append(Move(op, given))
            self._mark(given)
            return
        carried = self._carried(op.inputs)
        if carried.versions and op.index > self._plan.loss_op.index:
            shapes = {tuple(value.shape) for value in op.outputs}
            for value in op.inputs:
                if value.root in self._forward_roots and tuple(value.shape) in shapes:
                    self._met[value.root] = self._met.get(value.root, _NOTHING) | carried
        mutated = op.mutated
        for value in op.outputs:
            root = value.root
            if value.producer is op and root is value:
                self._trails[root] = carried
            elif value.producer is op and not mutated:
                self._trails[root] = self._trails.get(root, _NOTHING) | carried
        for value in mutated:
            root = value.root
            given = self._carried(v for v in op.inputs if v.root is not root)
            if op.index > self._plan.loss_op.index and root in self._forward_roots:
                self.moves[root].append(Move(op, given))
                self._mark(given)
            if op.name in _OVERWRITES or op.kind is Kind.DATA_WRITE:
                self._trails[root] = given
            else:
                self._trails[root] = self._trails.get(root, _NOTHING) | given
        if replaced is not None:
            given = self._carried(v for v in op.inputs if v.root is not replaced.root)
            self.moves[replaced.root].append(Move(op, given))
            self._mark(given)

    def _mark(self, trail: Trail) -> None:
        self._consequential |= trail.versions

    def _escapes(self, op: Op) -> None:
        pending = list(self._carried(op.inputs).versions)
        while pending:
            version = pending.pop()
            if version not in self.escaped:
                self.escaped.add(version)
                pending.extend(self._reads[version])
