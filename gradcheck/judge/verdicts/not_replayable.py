"""A gradient that the replay cannot compute."""

from __future__ import annotations

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Judged, Ruling
from gradcheck.judge.pairing.partners import Proposal
from gradcheck.judge.verdict import Problem, Verdict


def not_replayable(case: Case) -> Ruling | None:
    """Fidelity (principle 1): what cannot be replayed is `unchecked`, with the reason."""
    reason = case.judge.run.broken.get(id(case.version))
    if reason is None:
        return None
    candidate = case.candidate
    if not case.version.final or (parse(candidate.name).form < Form.BARE_D and not candidate.returned):
        return NOT_JUDGED
    proposal = case.judge.partners.propose_by_name(candidate)
    if candidate.returned and candidate.of is not None:
        proposal = Proposal(candidate.of, candidate.of_evidence)
    if proposal is None:
        return NOT_JUDGED
    judged = Judged(
        case.version, proposal.value, Verdict.UNCHECKED, proposal.evidence, Problem.UNREACHED, reason
    )
    return Ruling(judged)
