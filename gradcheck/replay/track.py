"""The person's backward pass replayed step by step, so that it can be left on side tracks: with another gradient from
there on, for as long as it takes to see what comes of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.precision import default_dtype
from gradcheck.replay.compare import copied, dense, differentiable
from gradcheck.replay.passes import Version
from gradcheck.replay.runner import Runner
from gradcheck.replay.slices import is_known


class Track:
    """`captured` holds each version that has been reached, `broken` why it could not be computed. Those in `replaced` (by
    identity) are what is given there. `known` are values that need not be computed, `last_used` what may be let go of
    after which op."""

    def __init__(
        self, runner: Runner, ops: list[Op], versions_after: Mapping[int, list[Version]],
        last_used: Mapping[int, list[Value]], known: Mapping[Value, torch.Tensor],
        replaced: Mapping[int, torch.Tensor], mutated: Mapping[Value, float] | None = None,
    ) -> None:  # fmt: skip
        """`mutated` says which op is the last to write to a storage; any may, where that is not known."""
        self.runner = runner
        self.captured: dict[int, torch.Tensor] = {}
        self.broken: dict[int, str] = {}
        self.moment: float = 0  # the op that comes next
        self._replaced = dict(replaced)
        self._mutated = mutated
        self._ops, self._last_used, self._known = ops, last_used, known
        # A second name may be bound after an op that the pass does not need: all up to the next op that it needs.
        self._versions = [version for after in sorted(versions_after) for version in versions_after[after]]
        self._next_op = self._next_version = 0

    def until(self, moment: float = math.inf) -> Track:
        """Run what comes before op `moment`."""
        runner = self.runner
        with torch.no_grad(), default_dtype(runner.dtype):
            while self._next_op < len(self._ops) and self._ops[self._next_op].index < moment:
                op = self._ops[self._next_op]
                self._reach(op.index)
                if not self._known or not is_known(op, self._known):
                    runner.step(op)
                self._reach(op.index + 1)
                for value in self._last_used.get(op.index, ()):
                    runner.forget(value)
                self._next_op += 1
        self._reach(moment)
        self.moment = max(self.moment, moment)
        return self

    def after(self, version: Version) -> Track:
        return self.until(version.after + 1)

    def replace(self, version: Version, tensor: torch.Tensor) -> None:
        """Let it be `tensor`: at once, where it is what was reached last."""
        self._replaced[id(version)] = tensor
        if version.after < self.moment:
            self.runner.put(version.candidate.value, tensor.clone())
            self._capture(version)

    def can_replace(self, version: Version) -> bool:
        """Whether nothing has been computed from it yet."""
        return version.after + 1 >= self.moment

    def fork(self) -> Track:
        """A side track from here on. To be left before this one goes on: until then they share their tensors."""
        other = copy.copy(self)
        other.runner, other._replaced = self.runner.fork(), dict(self._replaced)
        other.captured, other.broken = {}, {}
        return other

    def _reach(self, moment: float) -> None:
        """Capture, or replace, the versions that are there before op `moment`."""
        while self._next_version < len(self._versions) and self._versions[self._next_version].after < moment:
            version = self._versions[self._next_version]
            self._next_version += 1
            if id(version) in self._replaced:
                self.runner.put(version.candidate.value, self._replaced[id(version)].clone())
            self._capture(version)

    def _capture(self, version: Version) -> None:
        value = version.candidate.value
        if value in self.runner.broken:
            self.broken[id(version)] = self.runner.broken[value]
            return
        try:
            found = dense(self.runner.tensor(value).detach())
            changes = self._mutated is None or self._mutated.get(value.root, -1) > version.after
            # Named as a gradient, whole numbers are one too, however wrong (`dz = -y` of labels).
            numbers = not differentiable(found) and found.dtype != torch.bool
            if numbers and parse(version.candidate.name).form is not Form.NONE:
                found = found.to(self.runner.dtype)
            self.captured[id(version)] = copied(found) if changes else found
        except Exception as error:
            self.broken[id(version)] = str(error)
