"""Gradients of what goes through a step function (rounding, a sign, a comparison), whose derivative is zero, or through
a Function that changes nothing: what takes their place is on purpose. So is what is drawn at random in their place."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from gradcheck import ops
from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.markers import view_as
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.judge.case import Case
from gradcheck.judge.judged import Fault, Ruling, replaced_by
from gradcheck.judge.pairing.partners import Proposal
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.ops import Family
from gradcheck.replay.compare import distance, norm
from gradcheck.replay.forward import ForwardGraph
from gradcheck.replay.fresh import fresh_draws
from gradcheck.replay.passes import PassPlan
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import ReplayError, Runner

_ROUNDING = 1e-6
_DRAWS = 32
_UNCHANGED = ops.NO_COMPUTATION | {ops.RESHAPE}
_NEUTRAL = {ops.MUL: 1, ops.DIV: 1, ops.ADD: 0, ops.SUB: 0}
_REPLACED = (ops.ROUND, ops.SIGN)
_STRAIGHT = (
    "it is the gradient with the derivative of every step function on the way taken as 1 (straight through)"
)
_ON_PURPOSE = (
    "the forward pass is a step function here, whose derivative is zero: what stands here replaces the gradient on "
    "purpose, and what is computed from it is compared with what follows from it"
)

CHANGES_NOTHING = (
    "the forward pass of this Function hands on what it is given: it is there for its backward pass alone, which puts "
    "something else in the gradient's place on purpose, and what is computed from it is compared with what follows from it"
)

PAST_A_CLAMP = (
    "this Function limits its input to a range and returns its upstream gradient as it is: either on purpose (a "
    "straight-through gradient), or a mask was forgotten; what is computed from it is compared with what follows from it"
)

_ESTIMATE = (
    "it is an estimate: the random numbers of line {} go into it, and the mean over {} other draws is the gradient, as far "
    "as so many can tell; what is computed from it is compared with what follows from it"
)

_ROUNDED = "it is rounded where it is computed: it is quantised on purpose"

_OTHERWISE = (
    "it is computed from `{}`, which is handed to the forward pass and has no part in it: what stands here replaces the "
    "gradient on purpose, and what is computed from it is compared with what follows from it"
)


def surrogate(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): no gradient can be expected where the derivative is zero but for jumps. Right as
    such is what a replay with the derivative 1 in its place gives."""
    proposal = case.proposal
    if proposal is None:
        return None
    if _is_handed_on(case, changes_nothing):
        return _instead(case, proposal, CHANGES_NOTHING)
    made = case.candidate.value.producer
    if made is not None and made.func is view_as:
        made = made.inputs[0].producer
    if made is not None and made.kind is Kind.UPSTREAM and _is_handed_on(case, limits):
        return _instead(case, proposal, PAST_A_CLAMP)
    if any(op.operation is ops.ROUND for op in case.version.writes):
        return _instead(case, proposal, _ROUNDED)
    unread = _read_by_backward_alone(case)
    if unread is not None:
        return _instead(case, proposal, _OTHERWISE.format(case.judge.partners.shown(unread)))
    expected = _before_its_stages(case, proposal.value).get(proposal.value)
    steps = list(_steps_on_the_way(case.judge.plan, proposal.value))
    nothing = expected is None or not bool(expected.any())
    if not steps or not (nothing or any(op.operation in _REPLACED for op in steps)):
        return None
    straight = _straight_through(case, steps).get(proposal.value)
    fits = straight is not None and straight.shape == case.found.shape and norm(straight) > 0
    if straight is not None and fits and distance(straight, case.found) <= case.tolerance:
        judged = case.judged(proposal, Verdict.CORRECT, reason=_STRAIGHT, expected=straight)
        judged.truth, judged.surrogate = straight, True
        return Ruling(judged, Fault(judged, case.found))
    if not nothing and not _may_be_a_slope(case, proposal.value, steps):
        return None
    return _instead(case, proposal, _ON_PURPOSE)


def _instead(case: Case, proposal: Proposal, reason: str) -> Ruling:
    """It stands in the gradient's place."""
    expected = case.gradients.get(proposal.value)
    judged = case.judged(
        proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason, expected=expected, faults=case.faults
    )
    judged.surrogate = True
    return Ruling(judged, Fault(judged, case.found))


def of_another_loss(case: Case) -> Ruling | None:
    """Fidelity (principle 1): a gradient that is added, and is none of anything the loss is computed from, is that of
    another loss, which the program need not compute (the divergence of a variational autoencoder)."""
    judge, proposal, writes = case.judge, case.proposal, case.version.writes
    if proposal is None or not writes:
        return None
    expected = case.gradients.get(proposal.value)
    if expected is None or expected.shape != case.found.shape:
        return None
    last = writes[-1]
    paired = {judged.candidate.value for judged in judge.judged if judged.of is not None}
    for other in judge.plan.candidates if last.operation in ops.ADDITIVE else ():
        added = judge.captured(other.versions[-1])
        if other.value not in last.inputs or other.value in paired or added is None:
            continue
        if parse(other.name).form is Form.NONE or added.shape != expected.shape:
            continue
        if distance(case.found - added, expected) <= case.tolerance:
            reason = (
                f"it is the right gradient and `{other.name}` added up, which is no gradient of this loss: another loss may be "
                "meant; the lines that read the sum are compared with what follows from it"
            )
            return _instead(case, proposal, reason)
    return None


def estimated(case: Case) -> Ruling | None:
    """Right means right under intervention (principle 3): over other draws, the mean of it is the true gradient. One
    that is drawn again where the forward pass has drawn its own has another mean."""
    judge, proposal, version = case.judge, case.proposal, case.version
    truth = case.truth.get(proposal.value) if proposal is not None else None
    backward = judge.ops[judge.plan.loss_op.index : version.after + 1]
    behind = flow.backward(backward, {case.candidate.value}, key=flow.storage)
    drawn = [op for op in backward if op.kind is Kind.RANDOM and not behind.isdisjoint(op.outputs)]
    if proposal is None or truth is None or truth.shape != case.found.shape or not drawn:
        return None
    draws = (fresh_draws(drawn, seed) for seed in range(1, _DRAWS + 1))
    runs = (PassRun(judge.run.prepared, torch.float64, each).captured for each in draws)
    found = torch.stack([run.get(id(version), case.found) for run in runs])
    if not 0 < norm(found.mean(0) - truth) <= 3 * norm(found.std(0)) / _DRAWS**0.5:  # standard errors
        return None
    return _instead(case, proposal, _ESTIMATE.format(judge.places.location(drawn[0]).line, _DRAWS))


def _may_be_a_slope(case: Case, value: Value, steps: list[Op]) -> bool:
    """Where smooth ways go on beside a step of `value` itself: whether what is more than their gradient is what arrives
    at the step times something that takes the place of its derivative. That is nowhere negative, as a step rises, and
    not the same everywhere: another number than 1 is a wrong factor."""
    gradients, direct = _before_its_stages(case, value), [op for op in steps if op.inputs[0] is value]
    arriving = [gradients[op.out] for op in direct if op.operation in _REPLACED and op.out in gradients]
    if direct and not arriving:
        return False  # it is made a whole number, which no gradient goes through
    if not arriving or any(each.shape != case.found.shape for each in arriving):
        return True
    upstream, more = sum(arriving[1:], arriving[0]), case.found - gradients[value]
    slope = (more / upstream)[upstream != 0]
    if slope.numel() == 0 or bool((more[upstream == 0].abs() > case.tolerance).any()):
        return False
    return bool(slope.min() > -_ROUNDING) and bool(slope.max() - slope.min() > _ROUNDING)


def _before_its_stages(case: Case, value: Value) -> dict[Value, torch.Tensor]:
    """The gradients that follow from those upstream: a slope that it is multiplied with is no gradient that arrives."""
    listed = zip(sorted(case.faults), case.judge.listed(case.faults), strict=True)
    stages = {
        index for index, f in listed if f.judged.surrogate and f.at is not None and f.at.root is value.root
    }
    return case.judge.expectation(case.faults - stages)[0]


def _read_by_backward_alone(case: Case) -> Value | None:
    """What it is computed from that is an argument of the Function, or of the layer, with which its forward pass computes
    nothing: it can be there for the backward pass alone (weights of a feedback alignment, a posterior). What the forward
    pass changes (running statistics) it computes with."""
    plan, ops_before = case.judge.plan, case.judge.ops[: case.judge.plan.loss_op.index]
    handed = plan.handed | {op.inputs[0].root for op in ops_before if op.func is view_as}
    handed = {value for value in handed if value.producer is None}
    handed -= {
        value.root
        for op in ops_before
        if op.func is not view_as and op.operation not in _UNCHANGED
        for value in (*op.inputs, *op.mutated)
    }
    if not handed:
        return None
    backward = case.judge.ops[plan.loss_op.index : case.version.after + 1]
    behind = flow.backward(backward, {case.candidate.value}, key=flow.storage)
    return next((value for value in handed if value in behind), None)


def changes_nothing(op: Op) -> bool:
    neutral = op.operation in _NEUTRAL and list(op.args[1:]) == [_NEUTRAL[op.operation]]
    return (neutral or op.operation in _UNCHANGED) and op.out.shape == op.inputs[0].shape


def limits(op: Op) -> bool:
    """To a range, on both sides."""
    bounds = [each for each in (*op.args[1:], *(op.kwargs or {}).values()) if each is not None]
    return changes_nothing(op) or (op.operation is ops.CLAMP and len(bounds) == 2)


def _is_handed_on(case: Case, by: Callable[[Op], bool]) -> bool:
    """Whether it is returned for an argument of a Function that is, but for that, its result."""
    of = case.candidate.of
    if case.candidate.returned is None or of is None or of.producer is None:
        return False
    outside, pending, ends = of.producer.scope, [of], False
    readers = flow.readers(case.judge.plan.forward_ops)
    while pending:
        for op in readers.get(pending.pop(), ()):
            if op.func is view_as and op.scope == outside:
                ends = True
            elif (op.func is view_as or by(op)) and op.out.shape == of.shape:
                pending.append(op.out)
            else:
                return False
    return ends


def _steps_on_the_way(plan: PassPlan, value: Value) -> list[Op]:
    """Those that the loss is computed from: a number that is printed besides takes nobody's gradient away."""
    return [
        op
        for op in flow.between(plan.forward_ops, {value}, {plan.loss})
        if op.operation.step or op.operation.family is Family.DRAW
    ]


@dataclass(frozen=True)
class _Straight:
    """The result of a step function, with the derivative of what it was given."""

    op: Op
    skipped: frozenset[int] = frozenset()
    reads: tuple[Value, ...] = ()

    def apply(self, replay: Runner) -> None:
        stepped, given = replay.tensor(self.op.out), replay.tensor(self.op.inputs[0])
        if given.requires_grad and stepped.shape == given.shape:
            replay.put(self.op.out, given + (stepped - given).detach())


def _straight_through(case: Case, steps: list[Op]) -> dict[Value, torch.Tensor]:
    """The gradient of every value, given the wrong ones it was computed from, in a forward pass without steps."""
    run, patches = case.judge.run, {op.index: _Straight(op) for op in steps if op.operation in _REPLACED}
    plan = run.prepared.plan
    try:
        graph = ForwardGraph(
            run.prepared.forward, plan.loss, torch.float64, start_from=run.start_tensors(), patches=patches
        )
        return graph.gradients(replaced_by(case.judge.listed(case.faults)))
    except (ReplayError, RuntimeError):
        return {}
