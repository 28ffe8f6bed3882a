"""Gradients that another one takes the place of: first tries, and tries beside the one that is used."""

from gradcheck.judge.case import Case
from gradcheck.judge.influence import Mark
from gradcheck.judge.judged import NOT_JUDGED, Ruling
from gradcheck.judge.pairing.partners import BY_NAME


def replaced_unread(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): its name is given to another tensor later on, and no gradient was computed
    from it, nor the move of a parameter (or it is a buffer of zeros that was never filled)."""
    if not case.judge.relations.renamed_later(case.version):
        return None
    made = case.judge.influences.has(case.candidate.value, Mark.GRADED)  # it is nothing, of something
    placeholder = case.size == 0 and case.by_place is None and not made
    return NOT_JUDGED if placeholder or case.outputs.is_replaced_unread(case.version) else None


def beside_a_better_one(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): nothing reads it, its name fits only roughly, and the value it would be the
    gradient of has another gradient, whose name fits better: `dlogits2` looked at after `dlogits` is done."""
    proposal, score = case.proposal, case.judge.partners.score
    if proposal is None or proposal.evidence != BY_NAME:
        return None
    known = case.judge.paired.get(proposal.value)
    if known is None:
        return None
    if score(known.candidate, proposal.value) <= score(case.candidate, proposal.value):
        return None
    return NOT_JUDGED if not case.consumers.is_read else None
