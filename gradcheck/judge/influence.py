"""What the values on the tape were computed from: which faults, forward values and autograd gradients."""

from __future__ import annotations

from collections.abc import Mapping

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.judge.judged import Faults
from gradcheck.replay.engine import Patch
from gradcheck.replay.passes import PassPlan

_COPIES = {"clone", "detach", "data", "to", "float", "double", "cpu", "view", "reshape", "contiguous"}


class Influence:
    """Follows the tape op by op, in the order the program ran."""

    def __init__(self, plan: PassPlan, forward_made: set[Value]) -> None:
        self._faults: dict[Value, Faults] = {}
        self.derived = {
            v.root for v in plan.forward_values
        }  # computed from the forward pass or from gradients
        self.live = {v.root for v in forward_made if not _selected(v)}  # ... from what the network computes
        self.graded: set[Value] = set()  # gradients that were judged, and what is computed from them
        self.autograd: set[Value] = set()  # handed over by autograd
        self._rewired: dict[int, list[Value]] = {}
        self._cut: set[int] = set()

    def rewire(self, patches: Mapping[int, Patch]) -> None:
        """What a patched statement is computed from is what the patch reads."""
        self._rewired = {index: list(patch.reads) for index, patch in patches.items()}
        self._cut = {index for patch in patches.values() for index in patch.skipped}

    def follow(self, op: Op) -> None:
        if op.kind in (Kind.ESCAPE, Kind.BACKWARD):
            return
        if op.kind is Kind.GRAD_READ:
            self.autograd.update(v for v in op.outputs if v.autograd_of is not None)
            return
        inputs = self._rewired.get(op.index, op.inputs if op.index not in self._cut else [])
        touched = [*op.outputs, *op.mutated]
        faults: Faults = frozenset()
        for value in inputs:
            faults |= self.of(value)
        if faults:
            for value in touched:
                self._faults[value.root] = self.of(value) | faults
        if any(value.root in self.derived for value in inputs):
            self.derived.update(value.root for value in touched)
        if any(value.root in self.graded for value in inputs):
            self.graded.update(value.root for value in touched)
        if any(value.root in self.live for value in inputs):
            self.live.update(value.root for value in touched)
        if op.name in _COPIES and op.kind is Kind.PURE and any(v in self.autograd for v in inputs):
            self.autograd.update(op.outputs)

    def of(self, value: Value) -> Faults:
        """The faults that what this value was computed from carries."""
        return self._faults.get(value.root, frozenset())

    def add(self, value: Value, fault: int) -> None:
        self._faults[value.root] = self.of(value) | {fault}


def _selected(value: Value) -> bool:
    return value.producer is not None and value.producer.name in ("__getitem__", "getitem", "index_select")
