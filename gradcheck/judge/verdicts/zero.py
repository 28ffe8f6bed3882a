"""A gradient that is zero but for rounding: only its name or use can say what of."""

from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Ruling
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.compare import NOISE_SHARE, norm


def zero(case: Case) -> Ruling | None:
    """Right under intervention (principle 3): where the true gradient is zero, this point shows nothing."""
    if not case.is_zero:
        return None
    if not case.version.final:
        return NOT_JUDGED  # a buffer that is filled later
    judge, proposal = case.judge, case.named or case.by_place
    if proposal is None:
        return None if judge.partners.named(case.candidate) else NOT_JUDGED
    least = max(NOISE_SHARE * max(case.noise, judge.noise_of(proposal.value)), judge.rounding.floor)
    # Where only the first is zero, what it is computed from is wrong, and zero.
    found = [gradients.get(proposal.value) for gradients in (case.gradients, case.truth)]
    if any(gradient is None or norm(gradient) > least for gradient in found):
        return None
    reason = "the true gradient is zero here, but for rounding"
    return Ruling(case.judged(proposal, Verdict.UNOBSERVABLE, reason=reason, expected=found[0]))
