"""What the values on the tape were computed from: which faults, forward values and autograd gradients."""

import math
from collections.abc import Mapping
from enum import Enum, auto

from gradcheck import ops
from gradcheck.fronts.markers import OUR_PLACE
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.judge.judged import Faults
from gradcheck.replay.passes import PassPlan
from gradcheck.replay.runner import Patch


class Mark(Enum):
    DERIVED = auto()  # computed from the forward pass or from gradients
    LIVE = auto()  # computed from what the network computes
    GRADED = auto()  # a gradient that was judged, or computed from one


class Influence:
    """Follows the tape op by op, in the order the program ran. Faults are marks too: their indices."""

    def __init__(self, plan: PassPlan, tape: list[Op], forward_made: set[Value]) -> None:
        self._marks: flow.Marks[Mark | int] = flow.Marks()
        for value in plan.forward_values:
            self._marks.add(value, [Mark.DERIVED])
        for value in forward_made:
            if value.producer is None or value.producer.operation not in (ops.GETITEM, ops.SELECT):
                self._marks.add(value, [Mark.LIVE])
        self._forward_made = forward_made
        self.autograd: set[Value] = set()  # handed over by autograd
        # Computed from autograd's gradients of parameters, and nothing else.
        self.optimisers: set[Value] = set()
        handed = {op.out for op in tape if op.kind is Kind.UPSTREAM and op.extra is None}
        ours = [op for op in plan.forward_ops if op.code.co_filename == OUR_PLACE]
        # What a layer's outputs are multiplied with.
        handed |= {value for op in ours for value in op.inputs if value not in forward_made}
        self._backward = tape[plan.loss_op.index : plan.stop]
        self._from_upstream = self._computed_from(handed)
        # A loss has the gradient that it would have with 1 for its upstream gradient, times that.
        self._meeting = self._computed_from({value for value in handed if math.prod(value.shape) != 1})
        # The activations of `backward`s that autograd called: there, its gradient is read.
        self._backwards = {
            op.scope
            for op in tape
            if op.kind is not Kind.RETURNED and not handed.isdisjoint(op.inputs) and op not in ours
        }
        self._rewired: dict[int, list[Value]] = {}

    def rewire(self, patches: Mapping[int, Patch]) -> None:
        """What a patched statement is computed from is what the patch reads."""
        self._rewired = {index: [] for patch in patches.values() for index in patch.skipped}
        self._rewired |= {index: list(patch.reads) for index, patch in patches.items()}

    def follow(self, op: Op) -> None:
        if op.kind in (Kind.ESCAPE, Kind.BACKWARD):
            return
        if op.kind is Kind.GRAD_READ:
            handed_over = [v for v in op.outputs if v.autograd_of is not None]
            self.autograd.update(handed_over)
            self.optimisers.update(v for v in handed_over if v.autograd_of not in self._forward_made)
            return
        if op.kind is Kind.UPSTREAM:
            self._marks.add(op.out, [Mark.GRADED])
        inputs = self._rewired.get(op.index, op.inputs)
        self._marks.follow(op, inputs)
        if op.operation.keeps_numbers and op.kind is Kind.PURE and any(v in self.autograd for v in inputs):
            self.autograd.update(op.outputs)
        if any(v in self.optimisers for v in inputs) and all(self._is_optimisers(v) for v in inputs):
            self.optimisers.update((*op.outputs, *op.mutated))

    def _is_optimisers(self, value: Value) -> bool:
        """Whether an optimiser may compute its step with it: autograd's gradients, its own state, numbers."""
        return value in self.optimisers or not self.has(value, Mark.DERIVED)

    def has(self, value: Value, mark: Mark) -> bool:
        return mark in self._marks.of(value)

    def ignores_upstream(self, value: Value) -> bool:
        """Whether a `backward` that autograd called, or a layer's, computed it from no gradient: from what its `forward`
        has saved."""
        made = value.producer
        return made is not None and made.scope in self._backwards and value.root not in self._from_upstream

    def meets_upstream(self, value: Value) -> bool:
        """Whether something is computed from it together with the upstream gradient: it is a derivative, whatever it is
        called, that gradients are multiplied with."""
        made = value.producer
        own = [op for op in self._backward if made is not None and op.scope == made.scope]
        return any(read.root in self._meeting for op in flow.steps_from(own, {value}) for read in op.inputs)

    def _computed_from(self, values: set[Value]) -> set[Value]:
        return flow.forward(self._backward, values, key=flow.storage) if values else set()

    def of(self, value: Value) -> Faults:
        """The faults that what this value was computed from carries."""
        return frozenset(mark for mark in self._marks.of(value) if isinstance(mark, int))

    def add(self, value: Value, mark: Mark | int) -> None:
        self._marks.add(value, [mark])
