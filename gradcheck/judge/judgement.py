"""The judge as a whole: a recording in, the evidence about every manual gradient out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from gradcheck.fronts.gradient_names import is_loss_name
from gradcheck.fronts.insertion import take_out
from gradcheck.fronts.markers import Inferred
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.judge.carried import carried_over
from gradcheck.judge.common_cause import CommonCauses, Line, Meaning, accused_lines
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged, hold_once
from gradcheck.judge.kinks import points_beside, without_ties
from gradcheck.judge.likely import likely, replayed
from gradcheck.judge.loop import judge_all
from gradcheck.judge.pairing.added_up import add_up_losses
from gradcheck.judge.pairing.drawn_upstream import give_upstream
from gradcheck.judge.pairing.find_passes import find_passes
from gradcheck.judge.pairing.inferred import infer_losses
from gradcheck.judge.pairing.losses import says_which
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.partners import Partners
from gradcheck.judge.pairing.repeats import first_repeats, note_repeats
from gradcheck.judge.pairing.stated import Stated
from gradcheck.judge.pairing.stated_loss import state_loss
from gradcheck.judge.pairing.windows import recorded_steps
from gradcheck.judge.points import Point
from gradcheck.judge.precision import errors_as_run, measure_precision
from gradcheck.judge.probing import probe
from gradcheck.judge.reported import share_of
from gradcheck.judge.rivals import with_their_own
from gradcheck.judge.rows import rows_of
from gradcheck.judge.step.follow import follow_step
from gradcheck.judge.step.minimised import is_minimised
from gradcheck.judge.unwritten import all_unchecked, list_placeholders_once, unfinished, unjudged
from gradcheck.judge.verdict import PassResult, Problem, Verdict
from gradcheck.program.source import SourceMap
from gradcheck.replay.earlier import carried_in
from gradcheck.replay.fidelity import as_recorded, put_back_leaves
from gradcheck.replay.guards import without_guards
from gradcheck.replay.passes import Blames, PassPlan
from gradcheck.replay.probes import has_frozen_numbers
from gradcheck.replay.run import PassOps, PassRun, opaque_values
from gradcheck.replay.runner import ReplayError, attempted

_MOST_CAUSES = 6  # of what may be the cause of wrong gradients, that are judged
_MOST_UNSTEPPED = 8  # passes of one line, in a program of which no training step was seen
_RIGHT = (Verdict.CORRECT, Verdict.UNOBSERVABLE)


@dataclass(slots=True)
class JudgedPass:
    """One backward pass as it was judged, with all that a diagnosis replays it with."""

    plan: PassPlan
    result: PassResult
    prepared: PassOps
    judge: Judge | None = None  # None where the forward pass cannot be replayed
    points: list[Point] = field(default_factory=list)  # the usable probe points
    judged_of: dict[int, list[Judged]] = field(default_factory=dict)  # by the identity of the row they share

    @property
    def has_right_rows(self) -> bool:
        return any(row.verdict is Verdict.CORRECT for row in self.result.gradients)

    @property
    def rightness(self) -> int:
        verdicts = [row.verdict for row in self.result.gradients]
        wrong = verdicts.count(Verdict.INTRODUCED) + verdicts.count(Verdict.UNCHECKED)
        return verdicts.count(Verdict.CORRECT) - wrong


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

    @property
    def is_right(self) -> bool:
        rows = [row for result in self.results for row in result.gradients]
        return bool(rows) and all(row.verdict in _RIGHT for row in rows)

    @property
    def accused(self) -> set[Line]:
        return accused_lines([row for result in self.results for row in result.gradients])

    def explains(self, accused: set[Line]) -> bool:
        """Whether the lines that another judgement accuses are right, or fewer are accused here."""
        rows = [row for result in self.results for row in result.gradients]
        return len(self.accused) < len(accused) or set() < accused <= accused_lines(rows, _RIGHT)


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
    put_back_leaves(recording.before_aftermath().ops)

    if loss is not None:
        state_loss(recording.before_aftermath(), recording, loss)

    def judged() -> Judgement:
        return _judged(
            recording, sources, Stated(pairs or {}, sources, recording.pairings), loss, most_repeats
        )

    found = judged()
    if not found.is_right:
        added = add_up_losses(found.recording, recording, [judged.plan for judged in found.passes])
        summed = judged() if added else found
        if summed is not found and summed.explains(found.accused):
            found = summed
        else:
            take_out(recording, added)
    evident = any(p.has_right_rows and is_minimised(p.plan) for p in found.passes)
    if loss is not None or evident or found.is_right:
        return found
    if found.passes and says_which(found.recording, found.names):
        return found
    rivals = [judged.plan.loss_op for judged in found.passes]
    if infer_losses(found.recording, recording, found.names, rivals) or give_upstream(
        found.recording, recording
    ):
        found = judged()
    elif any(is_loss_name(each.plan.loss_name) for each in found.passes):
        return found
    # An objective that nobody wrote down accuses nothing by itself: some of the gradients have to be of it.
    found.passes = [
        p for p in found.passes if p.has_right_rows or (is_minimised(p.plan) and not p.result.inferred)
    ]
    return found


def _judged(
    whole: Recording, sources: SourceMap, stated: Stated, loss: str | None, most_repeats: int | None
) -> Judgement:
    recording, places = whole.before_aftermath(), Places(sources)
    names = NameIndex(recording, places)
    if most_repeats is None:
        first = first_repeats(recording, names, loss, _MOST_UNSTEPPED)
        if first is not recording:
            recording, names = first, NameIndex(first, places)
    judgement = Judgement(recording, sources, places, names, whole)
    plans = find_passes(recording, judgement.names, loss, stated)
    for plan in _without_repeats(plans, recording, most_repeats):
        found = _judge_under_likeliest_loss(judgement, plan, stated)
        others = list(with_their_own(found.judge)) if found.judge is not None else []
        for other in others:
            judgement.passes.append(_judge_under_likeliest_loss(judgement, other, stated))
        if others:
            found = _judge_under_likeliest_loss(judgement, plan, stated)
        if found.result.gradients:
            judgement.passes.append(found)
    list_placeholders_once(judgement.results)
    return judgement


def _without_repeats(plans: list[PassPlan], recording: Recording, most: int | None) -> list[PassPlan]:
    """They are left out only here, when it is known which gradients are theirs."""
    if most is None:  # that a loop trains is not seen where it moves nothing that is recorded
        most = len(plans) if recorded_steps(recording) else _MOST_UNSTEPPED
    places = [(plan.loss_op.code, plan.loss_op.lasti) for plan in plans]
    kept = [plan for i, plan in enumerate(plans) if places[:i].count(places[i]) < most]
    if len(kept) < len(plans):
        note_repeats(recording, max(places.count(place) for place in places), most)
    return kept


def _judge_under_likeliest_loss(judgement: Judgement, plan: PassPlan, stated: Stated) -> JudgedPass:
    """Where one loss is a part of another, the one under which most gradients are right is the one they are of."""
    for other in plan.alternatives:
        other.candidates, other.stop, other.updates = plan.candidates, plan.stop, plan.updates
        other.is_part = True
    run = replayed(plan) if plan.alternatives else None
    first, *others = likely(plan, run) if plan.alternatives else [plan]
    best = _judge_pass(judgement, first, stated, run if first is plan else None)
    run = None
    for other in others:
        if all(row.verdict in _RIGHT for row in best.result.gradients):
            break
        tried = _judge_pass(judgement, other, stated)
        best = tried if tried.rightness > best.rightness else best
    best = _judge_as_reported(judgement, best, stated)
    best = _judge_without_guards(judgement, _judge_beside_kinks(judgement, best, stated), stated)
    return _judge_by_what_heals(judgement, best, stated)


def _judge_as_reported(judgement: Judgement, judged: JudgedPass, stated: Stated) -> JudgedPass:
    plan, judge = judged.plan, judged.judge
    plan.share = share_of(judge) if judge is not None else 1.0
    tried = _judge_pass(judgement, plan, stated) if plan.share != 1 else judged
    if tried.rightness > judged.rightness:
        tried.result.notes.append(
            f"`{plan.loss_name}` adds up what will be reported: the gradients are compared with those of {plan.share:g} "
            "times what is added"
        )
        return tried
    plan.share = 1.0
    return judged


def _judge_beside_kinks(judgement: Judgement, judged: JudgedPass, stated: Stated) -> JudgedPass:
    plan, judge = judged.plan, judged.judge
    doubtful = (
        row.verdict is Verdict.INTRODUCED or row.problem is Problem.HARMLESS
        for row in judged.result.gradients
    )
    if judge is None or not (any(doubtful) or any(j.surrogate for j in judge.judged)):
        return judged
    if has_frozen_numbers(judge.ops, plan, judge.places):
        return judged
    ties = without_ties(judge)
    beside: list[tuple[dict[Value, torch.Tensor], dict[int, Op]]] = [(m, {}) for m in points_beside(judge)]
    for moved, instead in (*beside, *([({}, ties)] if ties else ())):
        plan.moved, plan.instead = moved, instead
        tried = _judge_pass(judgement, plan, stated)
        if tried.rightness > judged.rightness:
            tried.result.notes.append(
                "numbers of this step lie where there is no derivative (a maximum of equal ones, a ReLU of exactly 0): the "
                "gradients are compared with all of them moved a little"
            )
            return tried
    plan.moved, plan.instead = {}, {}
    return judged


def _judge_by_what_heals(judgement: Judgement, judged: JudgedPass, stated: Stated) -> JudgedPass:
    """Of two faults in a row, the true gradient in the place of the first heals nothing, and brings what is wrong nearer. It
    does so too where the first is a helper that is only called like a gradient: where fewer lines explain everything,
    alone or by their common cause, those do."""
    plan, before = judged.plan, accused_lines(judged.result.gradients)
    causes = _causes(judged)
    for plan.blames in (Blames.WHAT_HEALS, Blames.WHAT_HEALS_OUTPUTS) if len(before) > 1 else ():
        same = plan.blames not in plan.disputed
        strict = judged if same else _judge_pass(judgement, plan, stated)
        tried = _judge_by_common_cause(judgement, strict, stated, causes if same else _causes(strict))
        now = accused_lines(tried.result.gradients)
        unsaid = before & accused_lines(tried.result.gradients, (Verdict.UNCHECKED,))
        if set() < now < before or (tried is not strict and len(now | unsaid) < len(before)):
            return tried
    plan.blames = Blames.WHAT_HELPS
    return _judge_by_common_cause(judgement, judged, stated, causes)


def _causes(judged: JudgedPass) -> Sequence[tuple[Line, Meaning]]:
    return CommonCauses(judged.judge).found()[:_MOST_CAUSES] if judged.judge is not None else ()


def _judge_by_common_cause(
    judgement: Judgement, judged: JudgedPass, stated: Stated, causes: Sequence[tuple[Line, Meaning]]
) -> JudgedPass:
    """Where lines are right once what they read is, the line that made that is at fault, whatever it is called."""
    plan, before = judged.plan, accused_lines(judged.result.gradients)
    candidates = plan.candidates
    for line, meaning in causes:
        plan.meant, plan.carried = meaning, carried_in(meaning.values())
        plan.candidates = list(dict.fromkeys((*candidates, *(version.candidate for version in meaning))))
        tried = _judge_pass(judgement, plan, stated)
        now = accused_lines(tried.result.gradients)
        fewer = now < before or (line in now and now != before and len(now) <= len(before))
        if now and fewer and now <= before | {line}:
            return tried
    plan.meant, plan.carried, plan.candidates = {}, {}, candidates
    return judged


def _judge_without_guards(judgement: Judgement, judged: JudgedPass, stated: Stated) -> JudgedPass:
    """What keeps a logarithm or a quotient finite changes nothing that anybody means to differentiate."""
    if all(row.verdict in _RIGHT for row in judged.result.gradients):
        return judged
    plan = judged.plan
    forward, backward = without_guards(plan.forward_ops), without_guards(judged.prepared.manual)
    for plan.instead in [forward] * bool(forward) + [forward | backward] * bool(backward):
        tried = _judge_pass(judgement, plan, stated)
        if tried.rightness > judged.rightness:
            places = [judgement.places.location(op) for op in plan.instead.values()]
            lines = " and ".join(dict.fromkeys(f"line {place.line}" for place in places))
            by = ": the backward pass leaves it out" if plan.instead is forward else ""
            tried.result.notes.append(f"the guard against 0 in {lines} is left out in what is compared{by}")
            return tried
    plan.instead = {}
    return judged


def _judge_pass(
    judgement: Judgement, plan: PassPlan, stated: Stated, run: PassRun | None = None
) -> JudgedPass:
    """`run` is a replay of it that is there already."""
    recording, names, places = judgement.recording, judgement.names, judgement.places
    location, index = places.location(plan.loss_op), len(judgement.passes)
    result = PassResult(index, plan.loss_name, None, location, iteration=plan.iteration, cell=location.cell)
    result.inferred = isinstance(plan.loss_op.func, Inferred)
    prepared = PassOps(plan) if run is None else run.prepared
    judges = [judged.judge for judged in judgement.passes if judged.judge is not None]
    carried = carried_over(plan, prepared.manual, judges)
    if carried:
        plan.candidates = [*carried, *plan.candidates]
        prepared, run = PassOps(plan), None
    try:
        run = run or PassRun(prepared, torch.float64)
    except ReplayError as error:
        result.notes.append(f"the forward pass of this loss cannot be checked: {error}")
        result.gradients = all_unchecked(plan, places, str(error), index)
        return JudgedPass(plan, result, prepared)
    result.loss_value = float(run.graph.loss_tensor.detach().sum()) / plan.share
    if prepared.fidelity.parting(plan.loss, plan.loss_op.index) is not None:
        result.loss_value = as_recorded(plan.loss)
    coarse = attempted(PassRun, prepared, torch.float32, undifferentiated=prepared.ungraded)
    if coarse is None:
        result.notes.append("the step could not be replayed in float32, so its rounding was not measured")
    partners = Partners(plan, names, stated)
    judge = Judge(plan, recording.ops, run, coarse, partners, opaque_values(recording.ops, plan))
    judge_all(judge)
    judge.judged = [judged for judged in judge.judged if judged.candidate not in carried]
    if coarse is not None:
        coarse.release()  # its tensors are not needed any more, as a rule
    errors = errors_as_run(judge)
    hold_once(judge.judged, run)
    points = probe(judge)
    if not plan.instead:  # the program ran with its guards
        measure_precision(judge, errors)
    result.probes = len(points)
    result.flow = follow_step(judge)
    rows = rows_of(judge, index)
    result.gradients = [row for row, _ in rows]
    result.gradients += unjudged(recording, judge, result)
    result.gradients += unfinished(recording, plan, names, places, result)
    return JudgedPass(plan, result, prepared, judge, points, {id(row): judged for row, judged in rows})
