"""Gradients that were judged already, and are now clipped into a new tensor."""

from gradcheck import ops
from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Ruling
from gradcheck.judge.pairing.clipping import clips
from gradcheck.replay.compare import distance


def clipped(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): `grads[key] = grads[key] * (most / norm)`: the gradient was judged before, what is
    left of it is the optimiser's step."""
    judge, writes = case.judge, case.version.writes
    if len(writes) != 1:
        return None
    judged = {j.candidate.value for j in judge.judged}
    read = [value for value in writes[0].inputs if value in judged]
    return NOT_JUDGED if any(clips(writes[0], each, judge.plan, judge.names) for each in read) else None


def bounded(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): `dW = np.clip(dW, -5, 5)`, where a bound was met."""
    judge, writes = case.judge, case.version.writes
    if len(writes) != 1 or writes[0].operation is not ops.CLAMP or len(writes[0].inputs) != 1:
        return None
    for judged in judge.judged:
        before = judge.captured(judged.version)
        if judged.candidate.value in writes[0].inputs and before is not None and judged.of is not None:
            same = before.shape == case.found.shape and distance(before, case.found) <= case.tolerance
            return None if same else NOT_JUDGED
    return None
