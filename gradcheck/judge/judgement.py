"""The replay stage as a whole: a recording in, the evidence about every manual gradient out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Recording
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.loop import judge_all
from gradcheck.judge.pairing.find_passes import find_passes
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.partners import Partners
from gradcheck.judge.pairing.stated import Stated
from gradcheck.judge.points import Point
from gradcheck.judge.rows import rows_of
from gradcheck.judge.step.follow import follow_step
from gradcheck.judge.verdict import GradientResult, PassResult, Problem, Verdict
from gradcheck.judge.verdicts.weight_decay import is_decayed
from gradcheck.program.location import Location
from gradcheck.program.source import SourceMap
from gradcheck.replay.engine import ReplayError
from gradcheck.replay.passes import PassPlan
from gradcheck.replay.probes import PROBES, has_frozen_numbers, jittered, probe_roots
from gradcheck.replay.run import PassOps, PassRun, opaque_values


@dataclass(slots=True)
class JudgedPass:
    """One backward pass as it was judged, with all that a diagnosis replays it with."""

    plan: PassPlan
    result: PassResult
    prepared: PassOps
    judge: Judge | None = None  # None where the forward pass cannot be replayed
    points: list[Point] = field(default_factory=list)  # the usable probe points
    judged_of: dict[int, list[Judged]] = field(default_factory=dict)  # by the identity of the row they share


@dataclass(slots=True)
class Judgement:
    """All passes of a recording: `results` is what checks and reports may read, the rest is for replaying."""

    recording: Recording
    sources: SourceMap
    places: Places
    names: NameIndex
    whole: Recording  # with what the program did after its last wanted step, which is not judged
    passes: list[JudgedPass] = field(default_factory=list)

    @property
    def results(self) -> list[PassResult]:
        return [judged.result for judged in self.passes]


def judge_recording(
    recording: Recording,
    sources: SourceMap,
    *,
    loss: str | None = None,
    pairs: Mapping[str, str] | None = None,
    most_repeats: int | None = None,
) -> Judgement:
    """Judges every manual gradient of every backward pass on the tape; of passes whose losses come from one and the
    same place, a loop that nobody could leave, the first `most_repeats`."""
    whole, recording = recording, recording.before_aftermath()
    places = Places(sources)
    names = NameIndex(recording, places)
    stated = Stated(pairs or {}, sources, recording.pairings)
    judgement = Judgement(recording, sources, places, names, whole)
    plans = find_passes(recording, names, loss)
    for plan in _without_repeats(plans, recording, most_repeats):
        found = _judge_under_likeliest_loss(recording, plan, names, places, stated, len(judgement.passes))
        if found.result.gradients:
            judgement.passes.append(found)
    _list_placeholders_once(judgement.passes)
    return judgement


def _without_repeats(plans: list[PassPlan], recording: Recording, most: int | None) -> list[PassPlan]:
    """They are left out only here, when it is known which gradients are theirs."""
    if most is None:
        return plans
    places = [(plan.loss_op.code, plan.loss_op.lasti) for plan in plans]
    kept = [plan for i, plan in enumerate(plans) if places[:i].count(places[i]) < most]
    if len(kept) < len(plans):
        times = max(places.count(place) for place in places)
        recording.notes.append(
            f"the loss was computed {times} times by the same line; what is reported is the first"
            + (f" {most} of them" if most > 1 else " of them")
        )
    return kept


def _list_placeholders_once(passes: list[JudgedPass]) -> None:
    """A `dW = None` far down in a notebook belongs to the last loss before it, not to every earlier one as well."""
    later: set[tuple[str, Location]] = set()
    for judged in reversed(passes):
        result = judged.result
        placeholders = {
            (row.name, row.location) for row in result.gradients if row.problem is Problem.UNFINISHED
        }
        result.gradients = [
            row
            for row in result.gradients
            if row.problem is not Problem.UNFINISHED or (row.name, row.location) not in later
        ]
        later |= placeholders


def _judge_under_likeliest_loss(
    recording: Recording, plan: PassPlan, names: NameIndex, places: Places, stated: Stated, index: int
) -> JudgedPass:
    """Where one loss is a part of another, the one under which most gradients are right is the one they are of."""
    best = _judge_pass(recording, plan, names, places, stated, index)
    for other in plan.alternatives:
        if all(row.verdict in (Verdict.CORRECT, Verdict.UNOBSERVABLE) for row in best.result.gradients):
            break
        other.candidates, other.stop = plan.candidates, plan.stop
        other.updates = plan.updates
        tried = _judge_pass(recording, other, names, places, stated, index)
        if _rightness(tried.result) > _rightness(best.result):
            best = tried
    return best


def _rightness(result: PassResult) -> int:
    right = sum(row.verdict in (Verdict.CORRECT, Verdict.UNOBSERVABLE) for row in result.gradients)
    return right - sum(row.verdict is Verdict.INTRODUCED for row in result.gradients)


def _judge_pass(
    recording: Recording, plan: PassPlan, names: NameIndex, places: Places, stated: Stated, index: int
) -> JudgedPass:
    location = places.location(plan.loss_op)
    result = PassResult(index, plan.loss_name, None, location, iteration=plan.iteration, cell=location.cell)
    prepared = PassOps(plan)
    try:
        run = PassRun(prepared, torch.float64)
    except ReplayError as error:
        result.notes.append(f"the forward pass of this loss cannot be checked: {error}")
        result.gradients = _all_unchecked(plan, names, places, str(error), index)
        return JudgedPass(plan, result, prepared)
    result.loss_value = float(run.graph.loss_tensor.detach().sum())
    coarse: PassRun | None = None
    try:
        coarse = PassRun(prepared, torch.float32)
    except ReplayError:
        result.notes.append("the step could not be replayed in float32, so its rounding was not measured")
    opaque = opaque_values(recording.ops, plan)
    judge = Judge(plan, recording.ops, run, coarse, Partners(plan, names, stated), opaque)
    judge_all(judge)
    points = _probe(recording.ops, plan, prepared, judge, places)
    result.probes = len(points)
    result.flow = follow_step(judge, prepared, names, places)
    rows = rows_of(judge, names, places, index)
    result.gradients = [row for row, _ in rows]
    result.gradients += _unfinished(recording, plan, names, places, result.gradients, index)
    return JudgedPass(plan, result, prepared, judge, points, {id(row): judged for row, judged in rows})


# -- probe points ------------------------------------------------------------------------------------------------


def _probe(ops: list[Op], plan: PassPlan, prepared: PassOps, judge: Judge, places: Places) -> list[Point]:
    """Judges the same pairs again at jittered parameters; a fault seen only there was hidden by the
    initialisation. Returns the probe points that could be used."""
    doubtful = [
        j for j in judge.judged if j.verdict in (Verdict.CORRECT, Verdict.UNOBSERVABLE) and j.of is not None
    ]
    if not doubtful or has_frozen_numbers(ops, plan, places):
        return []
    roots = probe_roots(plan, judge.judged, judge.run.graph.truth)
    if not roots:
        return []
    seen_wrong: dict[int, list[float]] = {}
    seen_right: set[int] = set()
    used: list[Point] = []
    for seed in range(PROBES):
        point = Point(prepared, judge, jittered(judge.run, roots, seed))
        if not point.usable:
            continue
        used.append(point)
        for judged in judge.judged:
            outcome = point.judge(judged)
            if outcome is not None and outcome[0]:
                seen_wrong.setdefault(id(judged), []).append(outcome[1])
            elif outcome is not None and outcome[2]:
                seen_right.add(id(judged))
        point.release()
    if not used:
        return []
    for judged in doubtful:
        errors = seen_wrong.get(id(judged), [])
        tainted = judged.candidate.value.root in judge.opaque
        decayed = errors and any(is_decayed(judged.version, judge.judged, point.run) for point in used)
        if len(errors) == len(used) and not tainted and not decayed:
            judged.verdict = Verdict.INTRODUCED
            judged.problem = Problem.HIDDEN
            judged.reason = "right at this initialisation, wrong once the parameters have moved"
            judged.scale = None
            judged.hidden_error = max(errors)
        elif judged.verdict is Verdict.UNOBSERVABLE and id(judged) in seen_right:
            judged.verdict = Verdict.CORRECT
            judged.reason = "the true gradient is zero here; at a probe point it is not, and this agrees"
    return used


# -- what could not be checked -------------------------------------------------------------------------------------


def _all_unchecked(
    plan: PassPlan, names: NameIndex, places: Places, reason: str, index: int
) -> list[GradientResult]:
    rows = []
    for candidate in plan.candidates:
        if parse(candidate.name).form < Form.EXPLICIT or candidate.value.producer is None:
            continue
        location = places.location(
            candidate.versions[-1].writes[-1] if candidate.versions[-1].writes else candidate.value.producer
        )
        rows.append(
            GradientResult(
                candidate.name,
                None,
                location,
                Verdict.UNCHECKED,
                problem=Problem.UNREACHED,
                reason=reason,
                lines=[location],
                pass_index=index,
            )
        )
    return rows


def _unfinished(
    recording: Recording,
    plan: PassPlan,
    names: NameIndex,
    places: Places,
    rows: list[GradientResult],
    index: int,
) -> list[GradientResult]:
    """Gradients that are still `None`: the exercise is not finished there."""
    found = []
    taken = {row.name for row in rows} | {b.name for b in recording.bindings}
    partners = {name for value in plan.forward_values for name in names.forward_names(value)}
    for name, code, line, when in recording.nones:
        parsed = parse(name)
        if name in taken or parsed.stem is None or parsed.form < Form.BARE_D or name.endswith(".grad"):
            continue  # `p.grad = None` clears what autograd accumulates
        if not plan.loss_op.index < when <= plan.stop or parsed.stem not in partners:
            continue
        taken.add(name)
        location = places.line_location(code, line)
        found.append(
            GradientResult(
                name,
                parsed.stem,
                location,
                Verdict.UNCHECKED,
                problem=Problem.UNFINISHED,
                reason="it is None: the gradient is not written yet",
                lines=[location],
                pass_index=index,
            )
        )
    return found
