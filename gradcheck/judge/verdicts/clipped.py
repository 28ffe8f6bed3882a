"""Gradients that were judged already, and are now clipped into a new tensor."""

from __future__ import annotations

from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Ruling
from gradcheck.judge.pairing.clipping import clips


def clipped(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): `grads[key] = grads[key] * (most / norm)`: the gradient was judged before, what is
    left of it is the optimiser's step."""
    judge, writes = case.judge, case.version.writes
    if len(writes) != 1:
        return None
    judged = {j.candidate.value for j in judge.judged}
    read = [value for value in writes[0].inputs if value in judged]
    return NOT_JUDGED if any(clips(writes[0], each, judge.plan, judge.names) for each in read) else None
