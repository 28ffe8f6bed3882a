"""The values that a line really read: not always those that the forward pass computed with."""

from contextlib import suppress
from dataclasses import dataclass

import torch

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.wording import line, name
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.replay.runner import ReplayError, Runner

_MOST_OPS = 60


@dataclass(frozen=True, slots=True)
class Read:
    """`value`, as it was when `op` read it."""

    op: Op
    value: Value
    changed_by: Op | None  # what made or changed it after the loss was computed


def reads_of(case: Case) -> list[Read]:
    """What the line computes with, other gradients apart, each value once."""
    forward = case.plan.forward_values
    gradients = {judged.candidate.value for judged in case.judge.judged}
    found: dict[Value, Read] = {}
    pending = list(case.judged.version.writes)
    seen: set[int] = set()
    while pending and len(seen) < _MOST_OPS:
        op = pending.pop(0)
        if op.index in seen or op.index <= case.plan.loss_op.index:
            continue
        seen.add(op.index)
        for value in op.inputs:
            if value in gradients:
                continue
            changes = _changes(case, value, op)
            found.setdefault(value, Read(op, value, changes[-1] if changes else None))
            if value not in forward:
                pending.extend([value.producer] if value.producer is not None else [])
                pending.extend(change for change in changes if change is not value.producer)
    return list(found.values())


def as_read(case: Case, scene: Scene, read: Read) -> torch.Tensor | None:
    """The numbers of it at one point."""
    if read.changed_by is None:
        with suppress(ReplayError):
            return scene.tensor(read.value)
    if scene.as_read is None:
        scene.as_read = _replayed(case, scene)
    return scene.as_read.get((read.op, read.value))


def described(case: Case, read: Read, instead_of: Value) -> str:
    """Its name, kept distinct from a forward value of the same name."""
    shown = name(case, read.value)
    if read.value is not instead_of and shown != name(case, instead_of):
        return shown
    if read.changed_by is not None:
        return f"{shown} as {line(case, read.changed_by)} left it"
    made, right = (value.producer and line(case, value.producer) for value in (read.value, instead_of))
    return f"{shown} of {made}" if made != right else f"{shown} of another run of {made}"


def _changes(case: Case, value: Value, reader: Op) -> list[Op]:
    """What made a value after the loss, or filled it in place, before it was read."""
    return [
        op
        for op in case.judge.ops[case.plan.loss_op.index + 1 : reader.index]
        if value.producer is op or any(changed.root is value.root for changed in op.mutated)
    ]


def _replayed(case: Case, scene: Scene) -> dict[tuple[Op, Value], torch.Tensor]:
    wanted = {read.op for read in reads_of(case)}
    last = max((op.index for op in wanted), default=-1)
    prepared = case.prepared
    replay = Runner(torch.float64, overrides=scene.overrides, autograd_truth=dict(scene.run.graph.truth))
    found: dict[tuple[Op, Value], torch.Tensor] = {}
    with torch.no_grad():
        for op in prepared.manual:
            if op.index > last:
                break
            if op in wanted and op.kind not in (Kind.ESCAPE, Kind.BACKWARD):
                for value in op.inputs:
                    with suppress(ReplayError):
                        found[op, value] = replay.tensor(value).detach().clone()
            replay.step(op)
    return found
