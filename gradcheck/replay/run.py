"""One replay of a whole pass at one point: forward under autograd, and the person's backward as they wrote it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch

from gradcheck.recording.tape import Kind, Op, Value
from gradcheck.replay.engine import Patch, Replay
from gradcheck.replay.forward import ForwardGraph
from gradcheck.replay.passes import PassPlan, Version
from gradcheck.replay.slices import roots_mutated


class PassOps:
    """The ops a pass needs, found once and replayed under many conditions."""

    def __init__(self, plan: PassPlan, also: Iterable[Value] = ()) -> None:
        """`also` are further values a replay is to compute, as far as they exist by then."""
        self.plan = plan
        also = list(also)
        candidates = [c.value for c in plan.candidates]
        last = max(plan.last_op, plan.loss_op.index)
        wanted = [*candidates, plan.loss, *also]
        # What a pass after an earlier update starts from is whatever the earlier ops left.
        needed = plan.slicer.slice(wanted, 0, last + 1)
        self.manual = needed
        self.forward = (
            plan.slicer.slice([plan.loss, *also], plan.start, plan.loss_op.index + 1)
            if also
            else plan.forward_ops
        )
        self.mutated = roots_mutated(needed)
        self.versions_after: dict[int, list[Version]] = defaultdict(list)
        for candidate in plan.candidates:
            for version in candidate.versions:
                self.versions_after[version.after].append(version)
        # A leaf that was filled in place before the start (`torch.empty(..).normal_()`) is not what it was when it
        # was first seen, either.
        changed_before = roots_mutated(op for op in needed if op.index < plan.start)
        self.leaves_at_start = {
            value
            for op in self.forward
            for value in op.inputs
            if (value.producer is not None and value.producer.index < plan.start)
            or (value.producer is None and value.root in changed_before)
        }


class PassRun:
    """`captured` holds each candidate version as the replay computed it, `broken` why it could not; `graph` is the
    forward pass under autograd."""

    def __init__(
        self,
        prepared: PassOps,
        dtype: torch.dtype,
        overrides: dict[Value, torch.Tensor] | None = None,
        autograd_truth: dict[Value, torch.Tensor] | None = None,
        patches: Mapping[int, Patch] | None = None,
        keep: bool = False,
    ) -> None:
        """`keep` the replay of the manual backward pass as it ended, in `manual`."""
        plan = prepared.plan
        self.captured: dict[int, torch.Tensor] = {}
        self.broken: dict[int, str] = {}
        start_from: dict[Value, torch.Tensor] = {}
        if plan.start:
            replay = Replay(dtype, mutated=prepared.mutated, overrides=overrides)
            with torch.no_grad():
                for op in prepared.manual:
                    if op.index >= plan.start:
                        break
                    replay.step(op)
            for value in prepared.leaves_at_start:
                if value in replay.env:
                    start_from[value] = replay.env[value].clone()
        self.graph = ForwardGraph(
            prepared.forward, plan.loss, dtype, overrides=overrides, start_from=start_from, patches=patches
        )
        truth = dict(self.graph.truth)
        if autograd_truth:
            truth.update(autograd_truth)
        replay = Replay(
            dtype, mutated=prepared.mutated, overrides=overrides, autograd_truth=truth, patches=patches
        )
        self.manual = replay if keep else None
        with torch.no_grad():
            for op in prepared.manual:
                replay.step(op)
                for version in prepared.versions_after.get(op.index, ()):
                    self._capture(replay, version)
        for versions in prepared.versions_after.values():
            for version in versions:
                if id(version) not in self.captured and id(version) not in self.broken:
                    self._capture(replay, version)

    def _capture(self, replay: Replay, version: Version) -> None:
        value = version.candidate.value
        if value in replay.broken:
            self.broken[id(version)] = replay.broken[value]
            return
        try:
            self.captured[id(version)] = replay.tensor(value).detach().clone()
        except Exception as error:
            self.broken[id(version)] = str(error)


def opaque_values(ops: Sequence[Op], plan: PassPlan) -> set[Value]:
    """Floating values that entered the step from outside torch after it had begun, and all computed from them:
    their numbers are float32 in every replay."""
    tainted: set[Value] = set()
    forward = set(plan.forward_ops)
    for op in ops[plan.start : plan.last_op + 1]:
        if op.kind in (Kind.ESCAPE, Kind.BACKWARD):
            continue
        for value in op.inputs:
            late = value.producer is None and value.data is not None and value.birth > plan.loss_op.index
            if late and op not in forward and value.data is not None and _not_exact(value.data):
                tainted.add(value.root)
        if any(value.root in tainted for value in op.inputs):
            tainted.update(value.root for value in (*op.outputs, *op.mutated))
    return tainted


def _not_exact(tensor: torch.Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.dtype == torch.float64:
        return False
    return bool((tensor != tensor.round()).any())
