"""Which gradients every gradient, and every move of a parameter, was computed from.

The tape is followed from the forward pass to the end of the step. Every storage carries the gradients it was last
computed from; at a gradient the trail ends and begins again, so what is carried are always the *nearest* gradients.
A gradient that is built over several lines is another one after each of them: what was read in between was read
unfinished.
"""

from collections import defaultdict
from dataclasses import dataclass

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.flow import Marks
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.replay.passes import Version

AUTOGRAD = "autograd"  # in a trail: a gradient that autograd computed
Trail = frozenset[Version | str]  # what something was computed from: gradients, and AUTOGRAD

_OPS_AFTERWARDS = 2_000  # that are looked through for a move nobody knows as an update


@dataclass(frozen=True, slots=True)
class Move:
    """An op that changes, or replaces, something that the forward pass read."""

    op: Op
    trail: Trail

    @property
    def by_gradients(self) -> bool:
        return bool(self.trail - {AUTOGRAD})


class Flow:
    def __init__(self, judge: Judge) -> None:
        self._plan = judge.plan
        self.judged: dict[Version, Judged] = {j.version: j for j in judge.judged}
        self._trails: Marks[Version | str] = Marks()
        self._reads: dict[Version, set[Version]] = defaultdict(set)
        self._read_by: dict[Version, set[Version]] = defaultdict(set)
        self._consequential: Trail = frozenset()  # what something outside of the backward pass was made from
        self.escaped: set[Version] = set()  # whose numbers Python or NumPy was given
        self.moves: dict[Value, list[Move]] = defaultdict(list)
        self.assigned: dict[Value, list[Move]] = defaultdict(list)  # to the `.grad` of the key
        # What something of a value's shape was computed from with it.
        self._met: Marks[Version | str] = Marks()
        self._forward_roots = {value.root for value in judge.plan.forward_values}
        self._follow_all(judge.ops)

    # -- questions -------------------------------------------------------------------------------------------------

    def reads(self, version: Version) -> list[Version]:
        """The nearest gradients, as far as they had been built, that this one was computed from."""
        return sorted(self._reads[version], key=lambda v: v.after)

    def is_used(self, version: Version) -> bool:
        """Whether a judged gradient, a move of a parameter or a `.grad` was computed from it."""
        pending, seen = [version], {version}
        while pending:
            current = pending.pop()
            if current in self._consequential:
                return True
            readers = self._read_by[current] - seen
            if any(self._is_gradient(reader) for reader in readers):
                return True
            seen |= readers
            pending.extend(readers)
        return False

    def judged_sources(self, trail: Trail) -> list[Judged]:
        """The nearest *judged* gradients behind a trail: what a momentum buffer was filled from."""
        found: list[Judged] = []
        pending = _versions(trail)
        seen = set(pending)
        while pending:
            version = pending.pop()
            judged = self._judged_as(version)
            if judged is not None:
                found.append(judged)
                continue
            pending.extend(self._reads[version] - seen)
            seen |= self._reads[version]
        return sorted(found, key=lambda j: j.version.after)

    def met(self, root: Value) -> list[Judged]:
        """The gradients that something of the same shape was computed from, together with the value: perhaps its
        successor, under a name that does not say so."""
        return self.judged_sources(self._met.of(root))

    def _judged_as(self, version: Version) -> Judged | None:
        """The judged gradient that a version is, or was made of by changing it in place (clipping by norm)."""
        versions = version.candidate.versions
        earlier = (self.judged.get(v) for v in reversed(versions[: versions.index(version) + 1]))
        return next((judged for judged in earlier if judged is not None and judged.of is not None), None)

    def _is_gradient(self, version: Version) -> bool:
        judged = self.judged.get(version)
        return judged is not None and judged.of is not None

    # -- following the tape ----------------------------------------------------------------------------------------

    def _follow_all(self, tape: list[Op]) -> None:
        versions_after: dict[int, list[Version]] = defaultdict(list)
        writes: dict[int, list[Version]] = defaultdict(list)
        for version in (v for candidate in self._plan.candidates for v in candidate.versions):
            versions_after[version.after].append(version)
            for op in version.writes:
                writes[op.index].append(version)
        replaces = {u.op.index: u.parameter.root for u in self._plan.updates if not u.in_place}
        for op in tape[self._plan.start : self._end()]:
            if op.kind in (Kind.BACKWARD, Kind.ESCAPE, Kind.GRAD_READ):
                self._hand_over(op)
                continue
            for version in writes[op.index]:
                self._note_reads(version, op)
            if op.kind is Kind.GRAD_WRITE:
                self._assign(op)
            else:
                self._compute(op, replaces.get(op.index))
            for version in versions_after[op.index]:
                self._trails.replace(version.candidate.value, frozenset({version}))

    def _end(self) -> int:
        """Outside of a training loop a pass may reach to the end of a long tape, of which little is its own."""
        plan = self._plan
        if plan.iteration is not None:
            return plan.stop
        last = max((update.op.index for update in plan.updates), default=0)
        return min(plan.stop, max(last, plan.last_op) + _OPS_AFTERWARDS)

    def _note_reads(self, version: Version, op: Op) -> None:
        own = version.candidate
        for source in _versions(self._without(op, own.value.root)):
            if source.candidate is not own:
                self._reads[version].add(source)
                self._read_by[source].add(version)

    def _hand_over(self, op: Op) -> None:
        """From autograd, or to Python."""
        if op.kind is Kind.ESCAPE and op.operation is not ops.QUESTION:
            self._escapes(self._trails.of(*op.inputs))
        elif op.kind is Kind.GRAD_READ:
            for value in op.outputs:
                if value.autograd_of is not None:
                    self._trails.replace(value, frozenset({AUTOGRAD}))

    def _assign(self, op: Op) -> None:
        if op.inputs:
            self._moves(self.assigned, op.inputs[0].root, op, self._trails.of(*op.inputs[1:]))

    def _compute(self, op: Op, replaced: Value | None) -> None:
        carried = self._trails.of(*op.inputs)
        afterwards = op.index > self._plan.loss_op.index
        if carried - {AUTOGRAD} and afterwards:
            shapes = {tuple(value.shape) for value in op.outputs}
            for value in op.inputs:
                if value.root in self._forward_roots and tuple(value.shape) in shapes:
                    self._met.add(value, carried)
        given = {root: self._without(op, root) for root in {value.root for value in op.mutated}}
        self._trails.follow(op)
        for root, trail in given.items():
            if afterwards and root in self._forward_roots:
                self._moves(self.moves, root, op, trail)
            if op.operation in (ops.FILL, ops.COPY_INTO) or op.kind is Kind.DATA_WRITE:
                self._trails.replace(root, trail)  # nothing of what it held is carried on
        if replaced is not None:
            self._moves(self.moves, replaced, op, self._without(op, replaced))

    def _without(self, op: Op, root: Value) -> Trail:
        """What the other inputs of an op carry."""
        return self._trails.of(*(v for v in op.inputs if v.root is not root))

    def _moves(self, moves: dict[Value, list[Move]], root: Value, op: Op, trail: Trail) -> None:
        moves[root].append(Move(op, trail))
        self._consequential |= trail

    def _escapes(self, trail: Trail) -> None:
        pending = _versions(trail)
        while pending:
            version = pending.pop()
            if version not in self.escaped:
                self.escaped.add(version)
                pending.extend(self._reads[version])


def _versions(trail: Trail) -> list[Version]:
    return [source for source in trail if not isinstance(source, str)]
