"""What a backward pass on a tape is made of: its loss, its forward ops, and the values that may be gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

import torch

from gradcheck.fronts.markers import Inferred
from gradcheck.fronts.tape import Binding, Op, Value
from gradcheck.fronts.updates import Update
from gradcheck.replay.earlier import Carried
from gradcheck.replay.slices import Slicer, produced


class Blames(Enum):
    """What a gradient is accused for: that its true one, put in its place,"""

    WHAT_HELPS = auto()  # heals something that is wrong, or brings it nearer
    WHAT_HEALS = auto()  # heals something
    WHAT_HEALS_OUTPUTS = auto()  # heals what leaves the pass, and not only what it is computed through


@dataclass(slots=True, eq=False)
class Version:
    """A candidate gradient as it was after op `after`; `writes` are the ops that built it up to then."""

    candidate: Candidate
    after: int
    writes: list[Op]
    final: bool = False


@dataclass(slots=True, eq=False)
class Candidate:
    """A value that may be a manual gradient."""

    value: Value
    name: str
    binding: Binding | None
    bindings: list[Binding] = field(default_factory=list)
    of: Value | None = None  # what it was attached to: p.grad = g, x.g = g, an update of p
    of_evidence: str = ""
    returned: Op | None = None  # by a Function's `backward`, for `of` and nothing else
    # It moves `of`, divided by a count on the way: evidence, and no gradient to be judged.
    divided: bool = False
    versions: list[Version] = field(default_factory=list)
    outer_name: str = ""  # what the caller of the function that computed it calls it
    second_name: bool = False  # of a tensor that is another gradient as well (`db = dz`)

    @property
    def variable(self) -> str:
        """Its name, with the key of an item as it was."""
        return self.binding.variable if self.binding is not None else self.name


@dataclass(slots=True, eq=False)
class PassPlan:
    loss: Value
    loss_op: Op
    loss_name: str
    start: int
    forward_ops: list[Op]
    slicer: Slicer  # of the whole tape
    candidates: list[Candidate] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    # The same pass under another loss it may be for.
    alternatives: list[PassPlan] = field(default_factory=list)
    rivals: list[PassPlan] = field(default_factory=list)  # other losses of the same iteration
    # By index, what is replayed in the place of some of its ops.
    instead: dict[int, Op] = field(default_factory=dict)
    handed: set[Value] = field(default_factory=set)  # the storages of what a layer was called with
    # Leaves that every replay gives other numbers.
    moved: dict[Value, torch.Tensor] = field(default_factory=dict)
    blames: Blames = Blames.WHAT_HELPS
    # The other ways to blame under which some gradient is accused that is not now, or the other way round.
    disputed: set[Blames] = field(default_factory=set)
    # What some of its gradients turned out to be the gradients of, although they are not.
    meant: dict[Version, Value] = field(default_factory=dict)
    # By an op, what is taken for a value of its own where it is read from there on.
    carried: dict[int, list[Carried]] = field(default_factory=dict)
    share: float = 1.0  # of its loss, which the gradients are of: a mean, where the sum is reported
    is_part: bool = False  # whether its loss is a part of another one
    iteration: int | None = None
    stop: int = 0  # first op on the tape that is no longer part of this pass
    used: frozenset[Value] = field(init=False)  # the storages that its forward pass reads
    # What only the gradients are made of that an inferred loss begins with: it is no part of the forward pass.
    given_ops: list[Op] = field(default_factory=list)

    def __post_init__(self) -> None:
        if isinstance(self.loss_op.func, Inferred):
            own = {*self.slicer.slice(self.loss_op.args[0], self.start, self.loss_op.index), self.loss_op}
            self.given_ops = [op for op in self.forward_ops if op not in own]
            self.forward_ops = [op for op in self.forward_ops if op in own]
        self.used = frozenset(value.root for op in self.forward_ops for value in op.inputs)

    @property
    def forward_values(self) -> set[Value]:
        ops = self.replayed_ops
        found = produced(ops)
        for op in ops:
            found.update(op.inputs)
        # What an inferred loss begins with is a gradient already.
        return found.difference(self.loss_op.args[1] if self.given_ops else ())

    @property
    def replayed_ops(self) -> list[Op]:
        """All that it takes to compute the loss."""
        if not self.given_ops:
            return self.forward_ops
        return sorted([*self.forward_ops, *self.given_ops], key=lambda op: op.index)

    @property
    def last_op(self) -> int:
        """The last op that any of its gradients was changed by."""
        return max((v.after for c in self.candidates for v in c.versions), default=self.loss_op.index)
