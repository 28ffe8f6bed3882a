"""Two losses of one step, each with gradients of its own: those of a critic, and those of an actor."""

from collections.abc import Iterator

from gradcheck.judge.judge import Judge
from gradcheck.judge.likely import replayed
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.compare import distance, norm
from gradcheck.replay.passes import PassPlan

_SAME = 1e-9  # relative, in float64


def with_their_own(judge: Judge) -> Iterator[PassPlan]:
    """The other losses that some of the gradients are of, with those gradients, which this pass has no longer: what is no
    gradient of this loss is, number by number, that of the other one, and the rest is computed from it."""
    plan = judge.plan
    for rival in plan.rivals if any(j.verdict is Verdict.INTRODUCED for j in judge.judged) else ():
        run = replayed(rival)
        truth = run.graph.truth if run is not None else {}
        own = {
            judged.candidate
            for judged in judge.judged
            if judged.verdict is Verdict.INTRODUCED and judged.of in truth and judged.found is not None
            if judged.found.numel() > 1 and judged.found.shape == truth[judged.of].shape
            if distance(judged.found, truth[judged.of]) <= _SAME * norm(judged.found)
        }
        behind = {
            judged.candidate
            for judged in judge.judged
            if any(fault.judged.candidate in own for fault in judge.listed(judged.faults))
        }
        if own:
            rival.candidates = [c for c in plan.candidates if c in own | behind]
            plan.candidates = [c for c in plan.candidates if c not in own | behind]
            yield rival
