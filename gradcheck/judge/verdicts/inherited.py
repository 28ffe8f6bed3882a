"""Gradients that would be right if only the gradients they were computed from were, although they are not the VJP of
those: a right line may use a gradient as a sum that it needs (`d_beta` in the line of batch normalisation)."""

import torch

from gradcheck.judge.case import Case
from gradcheck.judge.judged import Fault, Ruling
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.compare import norm


def inherited(case: Case) -> Ruling | None:
    """Blame needs an intervention (principle 2): with the true gradients put in upstream, this one heals."""
    judge = case.judge
    healed = case.outputs.with_true_upstream(case.version) if case.faults and case.version.final else None
    if healed is None or not bool(torch.isfinite(healed).all()):
        return None
    tolerance = judge.tolerance(case.version, norm(healed), case.noise)
    if norm(healed) <= tolerance or not case.says_something(healed):
        return None
    sign = -1.0 if judge.ascends else 1.0
    healed = sign * healed
    for reshaped in (False, True):
        equal = case.admitted(case.true_fingerprints.equals(healed, tolerance, reshaped=reshaped))
        if not equal:
            continue
        chosen = judge.partners.choose(case.candidate, equal, judge.paired)
        if judge.partners.meant_instead(case.candidate, chosen.value, healed) is not None:
            return None
        if case.is_used_for_another(chosen.value, equal):
            return None
        expected = case.gradients.get(chosen.value)
        scale = sign if judge.ascends else None
        judged = case.judged(chosen, Verdict.INHERITED, expected=expected, faults=case.faults, scale=scale)
        fits = case.found.numel() == case.truth[chosen.value].numel()
        return Ruling(judged, Fault(judged, sign * case.found if fits else None))
    return None
