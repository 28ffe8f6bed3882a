"""A gradient that is zero but for rounding: only its name or use can say what of."""

from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Ruling
from gradcheck.judge.verdict import Verdict
from gradcheck.judge.verdicts.inherited import inherited
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
    expected, truth = (gradients.get(proposal.value) for gradients in (case.gradients, case.truth))
    least = max(NOISE_SHARE * max(case.noise, judge.noise_of(proposal.value)), judge.rounding_floor)
    if expected is None or norm(expected) > least:
        return None
    if (healed := inherited(case)) is not None:
        return healed  # it is zero only because what it is computed from is
    reason = (
        "what it is computed from is wrong and gives zero whatever this line does"
        if truth is not None and norm(truth) > least
        else "the true gradient is zero here, but for rounding"
    )
    return Ruling(case.judged(proposal, Verdict.UNOBSERVABLE, reason=reason, expected=expected))
