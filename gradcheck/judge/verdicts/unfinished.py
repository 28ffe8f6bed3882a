"""Gradients that are still being built: a first stage, a branch, a term of a sum."""

import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.case import Case
from gradcheck.judge.intervention import heals
from gradcheck.judge.judged import NOT_JUDGED, Ruling
from gradcheck.judge.verdicts.convention import kept_factor, kept_upstream
from gradcheck.ops import Family
from gradcheck.replay.compare import MOST_TERMS, distance, is_multiple, same_but_for_ones, summing_to
from gradcheck.replay.passes import Version


def stage(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): `dx = a; dx = dx + b`. The first is not yet the gradient, unless something
    follows from it as from one."""
    relations = case.judge.relations
    successor = relations.successor(case.version)
    if successor is None:
        return None
    if case.version not in case.judge.plan.meant and successor in case.judge.plan.meant:
        return NOT_JUDGED  # it is asked what the whole is
    proposal = case.proposal
    expected = case.gradients.get(proposal.value) if proposal is not None else None
    if proposal is None or expected is None:
        return NOT_JUDGED
    if is_multiple(case.found, expected) and relations.only_rescales(successor, case.version):
        return None
    writes, other_shape = case.version.writes, not same_but_for_ones(expected.shape, case.found.shape)
    if other_shape and writes and writes[-1].operation.family is Family.LAYOUT:
        return NOT_JUDGED  # what the next line of the same name makes of it has the right shape
    # Something that is right for nothing else may follow from it (but for zeros: those agree with any), as from one that
    # is kept as a multiple too.
    follows = not _becomes_right(case, successor, expected) and (
        case.consumers.explained_by(proposal.value, finished=False) > 0
        or (case.is_zero and heals(case, proposal.value))
        or (not case.judge.ascends and kept_factor(case, proposal.value) is not None)
    )
    return None if follows else NOT_JUDGED


def _becomes_right(case: Case, successor: Version, expected: torch.Tensor) -> bool:
    """Whether its next version is the gradient, kept as the multiple that those are it is computed from."""
    found, kept = case.judge.captured(successor), set(kept_upstream(case))
    if successor.candidate is not case.candidate or found is None or found.shape != expected.shape:
        return False
    return len(kept) == 1 and distance(found, kept.pop() * expected) <= case.tolerance


def part(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): it is one part of a gradient that comes out right, or that is judged for
    all of its parts."""
    if _is_only_added(case):
        return NOT_JUDGED
    proposal = case.proposal
    expected = case.gradients.get(proposal.value) if proposal is not None else None
    if proposal is None or expected is None:
        return None
    partner = proposal.value
    if _is_term(case, partner) or _is_branch(case, partner) or _leads_to_a_right_one(case, partner, expected):
        return NOT_JUDGED
    return None


def _is_term(case: Case, partner: Value) -> bool:
    """Whether it is a term of a sum that is named for the same value: the sum is judged, for both."""
    score, adds = case.judge.partners.score, case.judge.relations.adds
    own = score(case.candidate, partner)
    return any(
        consumer.candidate is not case.candidate
        and adds(consumer, case.version)
        and score(consumer.candidate, partner) >= own > 0
        for consumer in case.consumers.versions
    )


def _is_only_added(case: Case) -> bool:
    """Whether all that becomes of it is that it is added, to what comes out right."""
    sums = case.judge.relations.only_added(case.version)
    found = {consumer.version: consumer for consumer in case.consumers.all} if sums else {}
    return bool(sums) and all(
        (total := found.get(version)) is not None
        and total.size > total.tolerance
        and case.fingerprints.equals(total.found, total.tolerance)
        for version in sums
    )


def _is_branch(case: Case, partner: Value) -> bool:
    """Whether it is what comes back on some of the ways from its value to the loss, and another gradient is named
    for the whole."""
    score = case.judge.partners.score
    own = score(case.candidate, partner)
    whole = any(
        other.value is not case.candidate.value
        and max([other.versions[-1].after, *(b.when for b in other.bindings)]) > case.version.after
        and other.name != case.candidate.name
        and score(other, partner) >= own > 0
        for other in case.judge.plan.candidates
    )
    ways = case.judge.ways_back(partner, case.faults) if whole else []
    if not 1 < len(ways) <= MOST_TERMS or not same_but_for_ones(ways[0].shape, case.found.shape):
        return False
    places = summing_to(case.found, ways, case.tolerance)
    return places is not None and len(places) < len(ways)


def _leads_to_a_right_one(case: Case, partner: Value, expected: torch.Tensor) -> bool:
    """Whether what is computed from it is the true gradient of the same forward value, or the multiple that gradients are kept
    as (or, if that has its gradient already or this is added to something, of another one)."""
    known = case.judge.paired.get(partner)
    has_another = known is not None and known.candidate is not case.candidate and not known.faults
    scales = {1.0, *kept_upstream(case)}
    for consumer in case.consumers.all:
        if consumer.size <= consumer.tolerance or torch.equal(consumer.found, case.found):
            continue  # nothing, or what it was: the first step of an optimiser
        same = consumer.found.shape == expected.shape
        if same and any(distance(consumer.found, scale * expected) <= consumer.tolerance for scale in scales):
            return True
        branch = has_another or case.judge.relations.adds(consumer.version, case.version)
        if branch and case.fingerprints.equals(consumer.found, consumer.tolerance):
            return True
    return False
