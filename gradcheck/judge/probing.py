"""The same pairs judged again at jittered parameters: a fault seen only there was hidden by the initialisation."""

from collections import defaultdict

from gradcheck.judge.arriving import try_other_upstreams
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.loop import judge_all
from gradcheck.judge.points import Point
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.judge.verdicts.weight_decay import is_decayed
from gradcheck.replay.probes import PROBES, Jittered, has_frozen_numbers, probe_roots

_NEAR = 1e-3  # of the jitter: no maximum and no branch is another one there
_RIGHT = 1e-12  # relative, in float64: what is right there is right to rounding


def probe(judge: Judge) -> list[Point]:
    """Right under intervention (principle 3): what is right at the recorded point and wrong at every probe point is
    `introduced`. Returns the probe points that could be used."""
    right = (Verdict.CORRECT, Verdict.UNOBSERVABLE)
    doubtful = [j for j in judge.judged if j.verdict in right and j.of is not None and not j.surrogate]
    if not doubtful or has_frozen_numbers(judge.ops, judge.plan, judge.places):
        return []
    roots = probe_roots(judge.plan, judge.rooted, judge.run.graph.truth)
    used: list[Point] = []
    unlike = {id(judged) for judged in doubtful}
    errors: dict[int, list[float]] = defaultdict(list)
    seen_right: set[int] = set()
    for seed in range(PROBES if roots else 0):
        point = Point(judge.prepared, judge, Jittered(judge.run, roots, seed), sparing=True)
        if not point.usable:
            continue
        used.append(point)
        unlike &= point.unlike
        for judged in doubtful:
            outcome = point.judge(judged)
            if outcome is not None and outcome[0]:
                errors[id(judged)].append(outcome[1])
            elif outcome is not None and outcome[2]:
                seen_right.add(id(judged))
        point.release()
    wrong = [
        judged
        for judged in doubtful
        if used and len(errors[id(judged)]) == len(used) and not _is_excused(judge, judged, used)
    ]
    # What Python has decided by the numbers (an index, a branch) is frozen: near by, it would decide alike.
    near = Point(judge.prepared, judge, Jittered(judge.run, roots, PROBES, _NEAR)) if wrong else None
    for judged in doubtful if used else ():
        outcome = near.judge(judged) if near is not None and judged in wrong else None
        if outcome is not None and outcome[1] > _RIGHT:
            _hide(judged, max(errors[id(judged)]))
        elif judged.verdict is Verdict.UNOBSERVABLE and id(judged) in seen_right:
            judged.verdict = Verdict.CORRECT
            judged.reason = "the true gradient is zero here; at a probe point it is not, and this agrees"
    for judged in doubtful if used else ():
        _pair_with_what_fits(judged, used)
    _blame_there(judge, used)
    for judged in doubtful if used else ():
        if id(judged) in unlike and judged.verdict in right:
            _unpair(judge, judged)
    try_other_upstreams(judge)
    return used


def _pair_with_what_fits(judged: Judged, points: list[Point]) -> None:
    """Of the values whose gradients are equal at the recorded point (a scale is one, say), those for which they are so
    at every point are meant."""
    fitting = [point.fitting[id(judged)] for point in points if id(judged) in point.fitting]
    common = set.intersection(*fitting) if fitting else set()
    if common and judged.of not in common:
        judged.of = next(value for value in judged.alternatives if value in common)
        judged.meant, judged.evidence = None, "its numbers"


def _blame_there(judge: Judge, points: list[Point]) -> None:
    """Where the gradients of two values are equal at the recorded point alone, the pairs found there may say nothing
    of which line is at fault: the pass is judged once more at a probe point, and what is wrong there only because of
    another line is right."""
    hidden = {j.version: j for j in judge.judged if j.problem is Problem.HIDDEN}
    if not hidden:
        return
    point = points[0]
    there = Judge(
        judge.plan, judge.ops, point.run, point.coarse, judge.partners, judge.opaque, elsewhere=judge
    )
    judge_all(there)
    found = {j.version: j for j in there.judged}
    introduced = {v for v, j in found.items() if j.verdict is Verdict.INTRODUCED}
    explained = bool(introduced) and introduced <= hidden.keys()
    for version, own in hidden.items():
        other = found.get(version)
        if other is not None and other.surrogate:
            own.verdict, own.problem, own.reason = other.verdict, other.problem, other.reason
            own.hidden_error, own.surrogate = None, True
        elif other is not None and other.verdict is Verdict.INHERITED and explained:
            own.verdict, own.problem, own.reason, own.hidden_error = Verdict.CORRECT, Problem.NONE, "", None
    point.release()


def _hide(judged: Judged, error: float) -> None:
    judged.verdict, judged.problem = Verdict.INTRODUCED, Problem.HIDDEN
    judged.reason = "right at this initialisation, wrong once the parameters have moved"
    judged.scale, judged.hidden_error = None, error


def _unpair(judge: Judge, judged: Judged) -> None:
    """Blame needs a victim (principle 2): its numbers are those of a gradient by coincidence (of two gates that begin with
    the same weights), and it is that of something that has no name."""
    assert judged.of is not None
    judged.verdict, judged.problem = Verdict.UNCHECKED, Problem.HARMLESS
    judged.reason = (
        f"it is the gradient of `{judge.names.shown(judged.of)}` only at the recorded parameters, and nothing computed "
        "from it is wrong because of that"
    )
    judged.scale = judged.meant = None


def _is_excused(judge: Judge, judged: Judged, points: list[Point]) -> bool:
    """Whether it is wrong there only because of numbers from outside, or because weight decay is in it."""
    return judged.candidate.value.root in judge.opaque or any(
        is_decayed(judged.version, judge.judged, point.run) for point in points
    )
