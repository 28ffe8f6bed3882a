"""What the program computes after its training, and the tensors of it that can still be had."""

from functools import cached_property

import torch

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.health.network.probing import fed
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.runner import ReplayError
from gradcheck.replay.slices import Slicer, roots_mutated

_MOST_OPS = 50


class Aftermath:
    """`begin` is its first op; None if the recording does not get there."""

    def __init__(self, whole: Recording, places: Places) -> None:
        self.whole = whole
        self.begin = whole.aftermath
        self.ops = whole.aftermath_ops
        self.names = NameIndex(whole, places)
        self._mutated = roots_mutated(self.ops)

    @cached_property
    def slicer(self) -> Slicer:
        return Slicer(self.whole.ops)

    def tensor(self, value: Value) -> torch.Tensor:
        """What it held. Raises ReplayError where nothing is left that it could be computed from."""
        held = self._held(value)
        found = self._from_what_is_held(value) if held is None else held
        if found is None:
            raise ReplayError("what it was computed from is not there any more")
        return found

    def _held(self, value: Value) -> torch.Tensor | None:
        """What the tape or the program still has of it."""
        if value.data is not None:
            return value.data
        held = value.reference() if value.reference is not None and value.root not in self._mutated else None
        return held.detach() if held is not None else None

    def _from_what_is_held(self, value: Value) -> torch.Tensor | None:
        """Computed by its last ops from tensors that there still are."""
        ops: dict[int, Op] = {}
        known: dict[Value, torch.Tensor] = {}
        pending = [value]
        while pending:
            wanted = pending.pop()
            held = self._held(wanted)
            if held is not None:
                known[wanted] = held.double() if held.is_floating_point() else held
                continue
            op = wanted.producer
            if op is None or wanted.root in self._mutated or len(ops) == _MOST_OPS:
                return None
            if op.index not in ops:
                ops[op.index] = op
                pending.extend(op.inputs)
        replay = fed([ops[index] for index in sorted(ops)], known)
        return None if value in replay.broken else replay.tensor(value)
