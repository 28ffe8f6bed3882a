"""Gradients that equal the gradient of some forward value: that value is their partner, and their line is right."""

from gradcheck.fronts.tape import Value
from gradcheck.judge.case import Case
from gradcheck.judge.data_rounding import LARGEST
from gradcheck.judge.judged import Fault, Faults, Judged, Ruling
from gradcheck.judge.pairing.partners import BY_NAME, Proposal
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.judge.verdicts.convention import is_turned_round, kept_upstream
from gradcheck.ops import NEG
from gradcheck.replay.compare import Fingerprints, distance
from gradcheck.replay.earlier import as_of_now


def right(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): it is the VJP of the upstream gradients that it had, so its line did its
    job."""
    return _equal(case, case.tolerance)


def right_but_for_rounding(case: Case) -> Ruling | None:
    """The number as it was run (principle 4): no gradient is more exact than the data it is computed from."""
    if LARGEST * case.size <= case.tolerance:
        return None
    ruling = _equal(case, LARGEST * case.size, rounded=True)
    if ruling is None or ruling.judged is None:
        return None
    judged = ruling.judged
    judged.rounded_data = True
    # What is computed from it is compared with what follows from it: there, the rounding plays no part any more.
    return ruling if judged.problem is Problem.SHAPE_NOTE else Ruling(judged, Fault(judged, case.found))


def _equal(case: Case, tolerance: float, rounded: bool = False) -> Ruling | None:
    """With `rounded`, differences count only if the rounding of the data explains them."""
    if case.is_zero or not case.says_something(case.found):
        return None
    judge, gradients = case.judge, case.gradients
    for reshaped in (False, True):
        equal = case.fingerprints.equals(case.found, tolerance, reshaped=reshaped)
        if rounded:
            explains, faults = judge.data_rounding.explains, judge.listed(case.faults)
            equal = [v for v in equal if explains(case.version, v, case.found, gradients[v], faults)]
        equal = [v for v in case.admitted(equal) if not is_turned_round(case, v)]
        if not equal:
            continue
        chosen = judge.partners.choose(case.candidate, equal, judge.paired)
        if judge.ascends and not judge.partners.has_name(chosen.value) and _is_negative(case, chosen.value):
            return None
        if _was_meant_for_another(case, chosen.value) or case.is_used_for_another(chosen.value, equal):
            return None
        named = judge.partners.is_given_name_for(case.candidate, chosen.value) and not _was_so_before(
            case, chosen
        )
        earlier = as_of_now(chosen.value) is not chosen.value
        if (not named or earlier) and case.consumers.use_it_for_another(equal):
            return None
        judged = right_as(case, chosen)
        # What the person said, or what a second name is there for, is meant, whatever else it equals here.
        if not (case.candidate.second_name or judge.partners.is_stated(case.candidate, chosen.value)):
            judged.alternatives = [value for value in equal if value is not chosen.value]
        if reshaped and case.found.dim():  # one number is broadcast to whatever shape of one element
            judged.problem = Problem.SHAPE_NOTE
            judged.reason = (
                f"the numbers are right but the shape is {tuple(case.found.shape)}, "
                f"not {tuple(gradients[chosen.value].shape)}"
            )
        return Ruling(judged)
    return None


def _is_negative(case: Case, value: Value) -> bool:
    """Of `-x`: uphill, the gradient of `x` is kept as its negative, and so is all that is computed from it."""
    negated = value.producer is not None and value.producer.operation is NEG
    return negated or any(scale < 0 for scale in kept_upstream(case))


def _was_so_before(case: Case, chosen: Proposal) -> bool:
    """Whether it was the gradient of that value already before its last change, which was to make it another."""
    versions = case.candidate.versions
    earlier = versions[: versions.index(case.version)][-1:]
    return any(
        (found := case.judge.captured(version)) is not None
        and chosen.value in case.fingerprints.equals(found, case.tolerance)
        for version in earlier
    )


def right_as(case: Case, chosen: Proposal) -> Judged:
    """Right for its upstream gradients; inherited if those are wrong, and it is therefore."""
    truth = case.truth.get(chosen.value)
    off = distance(case.found, truth) if truth is not None else 0.0
    noise = max(case.noise, case.judge.noise_of(chosen.value))
    faults = case.judge.real(case.faults)
    if off <= case.judge.tolerance(case.version, case.size, noise):
        faults = Faults()
    verdict = Verdict.INHERITED if faults else Verdict.CORRECT
    return case.judged(chosen, verdict, expected=case.gradients[chosen.value], faults=faults)


def _was_meant_for_another(case: Case, partner: Value) -> bool:
    """Whether a gradient that equals that of `partner` was written, and is used, as that of another value: a
    wrong gradient. (If everything computed from it is right, it is only misnamed.)"""
    judge, candidate, found = case.judge, case.candidate, case.found
    meant = judge.partners.meant_instead(candidate, partner, found, of_unnamed=True)
    if meant is None or meant not in case.truth:
        return False
    previous = judge.paired.get(meant)
    if previous is not None and previous.candidate.variable == candidate.variable:
        return False
    other_shape = case.truth[meant].numel() != found.numel()
    if meant not in judge.forward_made:
        # A bias of ones may have the gradient of the layer: where only the shape differs, the layer must have its own.
        has_own = partner in judge.paired and judge.paired[partner].candidate is not candidate
        if case.is_unsummed(meant):
            case.proposal = Proposal(meant, BY_NAME)
            return True
        return not other_shape or candidate.second_name or has_own
    if other_shape:
        return case.consumers.nothing_is_right
    if candidate.second_name and not case.consumers.is_read:
        return True  # `dx = dxhat`, and nothing else is made of it: an output, by the only name that it was given for
    given = Fingerprints(judge.given(case.faults, {meant: found}))
    return any(
        c.is_finite
        and c.size > c.tolerance
        and not case.fingerprints.equals(c.found, c.tolerance, reshaped=True)
        and bool(given.equals(c.found, c.tolerance, reshaped=True))
        for c in case.consumers.all
    )
