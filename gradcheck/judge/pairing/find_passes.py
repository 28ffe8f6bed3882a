"""Finds the backward passes on a tape: each loss, its forward pass, and the values that may be gradients."""

from __future__ import annotations

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Recording
from gradcheck.fronts.updates import Update, UpdateFinder
from gradcheck.judge.pairing.candidates import CandidateCollector
from gradcheck.judge.pairing.losses import find_losses
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.windows import forward_pass, merge_chains, recorded_steps, set_windows
from gradcheck.replay.passes import Candidate, PassPlan
from gradcheck.replay.slices import Slicer


def find_passes(recording: Recording, names: NameIndex, loss_name: str | None) -> list[PassPlan]:
    """All passes that have at least one candidate gradient, in program order."""
    steps = recorded_steps(recording)
    updates = UpdateFinder(recording)
    slicer = Slicer(recording.ops)
    plans: list[PassPlan] = []
    for loss in find_losses(recording, names, steps, loss_name):
        begin = max((step.begin for step in steps if step.begin <= loss.op.index < step.end), default=0)
        needed = slicer.backwards([loss.value], loss.op.index + 1)
        start, forward_ops = forward_pass(needed, plans, updates, begin)
        plans.append(PassPlan(loss.value, loss.op, loss.name, start, forward_ops, slicer))
    set_windows(plans, steps, len(recording.ops))
    plans = merge_chains(plans)
    moves = _all_updates(updates, plans)
    for plan in plans:
        plan.updates = [u for u in moves if plan.loss_op.index < u.op.index < plan.stop]
    CandidateCollector(recording, plans, names, steps, moves).collect()
    return [plan for plan in plans if any(_speaks_of_gradients(c) for c in plan.candidates)]


def _all_updates(finder: UpdateFinder, plans: list[PassPlan]) -> list[Update]:
    """Those that follow any of the passes, in program order."""
    found: dict[int, Update] = {}
    for plan in plans:
        found.update((u.op.index, u) for u in finder.between(plan.loss_op.index + 1, plan.stop, plan.used))
    return [found[index] for index in sorted(found)]


def _speaks_of_gradients(candidate: Candidate) -> bool:
    return candidate.of is not None or any(parse(b.name).form is not Form.NONE for b in candidate.bindings)
