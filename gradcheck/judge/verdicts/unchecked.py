"""Gradients that match nothing, and with which nothing can be compared."""

from gradcheck.fronts.gradient_names import Form, may_be_velocity, parse
from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Ruling
from gradcheck.judge.verdict import Problem, Verdict


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
    reason, problem = "no forward value was found that this could be the gradient of", Problem.UNPAIRED
    if case.consumers.is_read and not case.outputs.spoils_one(case.version):
        problem, reason = Problem.HARMLESS, f"{reason}, and everything computed from it is right"
    return Ruling(case.judged(None, Verdict.UNCHECKED, problem, reason))


def unreached(case: Case) -> Ruling | None:
    """Fidelity (principle 1): no truth, no verdict."""
    if case.proposal is None or case.proposal.value in case.gradients:
        return None
    reason = "the loss does not reach this value, so there is nothing to compare with"
    return Ruling(case.judged(case.proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason))
