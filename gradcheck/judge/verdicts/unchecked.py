"""Gradients that match nothing, and with which nothing can be compared."""

from __future__ import annotations

from gradcheck.fronts.gradient_names import Form, may_be_velocity, parse
from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Fault, Ruling
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.ops import Family
from gradcheck.replay.passes import PassPlan


def upstream_unusable(case: Case) -> Ruling | None:
    """Fidelity (principle 1): where an upstream gradient has the wrong shape or is not finite, there is no VJP of it."""
    unusable = [f for f in case.judge.listed(case.faults) if f.gradient is None]
    if not unusable:
        return None
    if case.proposal is None:
        return NOT_JUDGED
    reason = f"it is computed from `{unusable[0].judged.candidate.name}`, which cannot be used as an upstream gradient"
    return Ruling(
        case.judged(case.proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason, faults=case.faults)
    )


def unpaired(case: Case) -> Ruling | None:
    """Fidelity (principle 1): a gradient whose value is not found is `unchecked`, never passed over."""
    if case.proposal is not None:
        return None
    candidate = case.candidate
    form = parse(candidate.name).form
    if form is Form.GENERIC and (may_be_velocity(candidate.name) or not case.consumers.versions):
        return NOT_JUDGED
    if form < Form.GENERIC or candidate.binding is None or candidate.binding.alias:
        return NOT_JUDGED
    reason = "no forward value was found that this could be the gradient of"
    return Ruling(case.judged(None, Verdict.UNCHECKED, Problem.UNPAIRED, reason))


def surrogate(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): what a Function returns for a step function (rounding, a sign, a comparison),
    whose derivative is zero, is on purpose."""
    proposal = case.proposal
    expected = case.gradients.get(proposal.value) if proposal is not None else None
    if proposal is None or not case.candidate.returned or (expected is not None and bool(expected.any())):
        return None
    if not _leads_through_a_step_function(case.judge.plan, proposal.value):
        return None
    reason = (
        "the forward pass is a step function here, whose derivative is zero: what is returned replaces the "
        "gradient on purpose, and what is computed from it is compared with what follows from it"
    )
    judged = case.judged(
        proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason, expected=expected, faults=case.faults
    )
    judged.surrogate = True
    return Ruling(judged, Fault(judged, case.found))


def _leads_through_a_step_function(plan: PassPlan, value: Value) -> bool:
    reached = flow.forward(plan.forward_ops, {value})
    return any(
        (op.operation.step or op.operation.family is Family.DRAW)
        and any(read in reached for read in op.inputs)
        for op in plan.forward_ops
    )


def unreached(case: Case) -> Ruling | None:
    """Fidelity (principle 1): no truth, no verdict."""
    if case.proposal is None or case.proposal.value in case.gradients:
        return None
    reason = "the loss does not reach this value, so there is nothing to compare with"
    return Ruling(case.judged(case.proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason))
