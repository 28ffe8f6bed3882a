"""Finds the backward passes on a tape: each loss, its forward pass, and the values that may be gradients."""

from collections.abc import Collection

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Binding, Op, Recording
from gradcheck.fronts.updates import Update, UpdateFinder
from gradcheck.judge.pairing import windows
from gradcheck.judge.pairing.candidates import CandidateCollector
from gradcheck.judge.pairing.losses import find_losses
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.placeholders import placeholders
from gradcheck.judge.pairing.stated import Stated
from gradcheck.program.source import SourceMap
from gradcheck.replay.passes import Candidate, PassPlan
from gradcheck.replay.slices import Slicer

_MOST_RIVALS = 3


def find_passes(
    recording: Recording, names: NameIndex, loss_name: str | None, stated: Stated | None = None
) -> list[PassPlan]:
    """All passes that have at least one candidate gradient, or one to be written, in program order. What the person
    has said is a gradient is one, whatever its name."""
    stated = stated or Stated({}, SourceMap())
    said = [binding for binding in recording.bindings if stated.value_of(binding) is not None]
    steps = windows.recorded_steps(recording)
    updates = UpdateFinder(recording)
    slicer, moves_used = Slicer(recording.ops), windows.UsedMoves(updates)
    plans: list[PassPlan] = []
    moves = [
        u
        for step in steps or [windows.Step(0, len(recording.ops), 0)]
        for u in updates.between(step.begin, step.end)
    ]
    for loss in find_losses(recording, names, steps, loss_name, said, moves):
        begin = max((step.begin for step in steps if step.begin <= loss.op.index < step.end), default=0)
        needed = slicer.backwards([loss.value], loss.op.index + 1)
        start, forward_ops = windows.forward_pass(needed, plans, moves_used, begin)
        plans.append(
            PassPlan(loss.value, loss.op, loss.name, start, forward_ops, slicer, handed=recording.handed)
        )
    windows.set_windows(plans, steps, len(recording.ops))
    plans = windows.merge_chains(plans)
    evaluating = _only_evaluating(recording, plans, moves)
    plans = [plan for plan in plans if plan not in evaluating]
    moves = _all_updates(updates, plans)
    for plan in plans:
        plan.updates = [u for u in moves if plan.loss_op.index < u.op.index < plan.stop]
        if not plan.updates and plan.iteration is not None:
            plan.updates = _before_the_loss(updates, plan)
            moves = sorted(
                {u.op.index: u for u in (*moves, *plan.updates)}.values(), key=lambda u: u.op.index
            )
    CandidateCollector(recording, plans, names, steps, moves, said).collect()
    found = [
        plan
        for plan in plans
        if any(_speaks_of_gradients(c, said) for c in plan.candidates) or placeholders(recording, plan, names)
    ]
    for plan in found:
        others = (p for p in (*evaluating, *plans) if p not in found and p.iteration == plan.iteration)
        plan.rivals = [*others][-_MOST_RIVALS:]
    return found


def _only_evaluating(
    recording: Recording, plans: list[PassPlan], moves: Collection[Update]
) -> list[PassPlan]:
    """Those of which no gradient that follows reads anything, while it reads what the forward pass of an earlier loss has
    computed: the same parameters, tried on data held back."""
    found: list[PassPlan] = []
    for before, plan, after in zip(plans, plans[1:], [*plans[2:], None], strict=False):
        if before.iteration != plan.iteration or before.loss_op.fingerprint == plan.loss_op.fingerprint:
            continue  # of the same data, either will do
        stop = plan.stop if after is None else min(plan.stop, after.loss_op.index)
        since = range(plan.loss_op.index + 1, stop)
        made = {v for i in since for v in recording.ops[i].outputs}
        ends = [v for v in made if v in recording.gradient_named]
        ends += [u.step for u in moves if u.step is not None and u.op.index in since]
        needed = {*plan.slicer.slice(ends, before.start, stop)}
        earlier, own = _computed(before), _computed(plan)
        if needed.isdisjoint(own - earlier) and not needed.isdisjoint(earlier - own):
            found.append(plan)
    return found


def _computed(plan: PassPlan) -> set[Op]:
    """All read views of the data."""
    return {op for op in plan.forward_ops if any(v.root is v for v in op.outputs)}


def _all_updates(finder: UpdateFinder, plans: list[PassPlan]) -> list[Update]:
    """Those that follow any of the passes, in program order."""
    found: dict[int, Update] = {}
    for plan in plans:
        found.update((u.op.index, u) for u in finder.between(plan.loss_op.index + 1, plan.stop, plan.used))
    return [found[index] for index in sorted(found)]


def _before_the_loss(finder: UpdateFinder, plan: PassPlan) -> list[Update]:
    """Where the loss is only computed once the parameters have moved, of what they were before."""
    forward = set(plan.forward_ops)
    last_read = {value.root: op.index for op in plan.forward_ops for value in op.inputs}
    return [
        update
        for update in finder.between(plan.start, plan.loss_op.index, plan.used)
        if update.op not in forward
        and last_read.get(update.parameter.root, update.op.index) < update.op.index
    ]


def _speaks_of_gradients(candidate: Candidate, said: list[Binding]) -> bool:
    return candidate.of is not None or any(
        binding in said or parse(binding.name).form is not Form.NONE for binding in candidate.bindings
    )
