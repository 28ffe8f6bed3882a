"""The replay stage as a whole: a recording in, the evidence about every manual gradient out."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from gradcheck.program.source import SourceMap
from gradcheck.recording.gradient_names import Form, parse
from gradcheck.recording.tape import Op, Recording, Value
from gradcheck.replay.compare import distance, norm
from gradcheck.replay.engine import ReplayError
from gradcheck.replay.evidence import Partners
from gradcheck.replay.judge import Judge, Judged
from gradcheck.replay.names import NameIndex
from gradcheck.replay.passes import PassPlan, find_passes
from gradcheck.replay.places import Places
from gradcheck.replay.probes import PROBES, has_frozen_numbers, jittered, probe_roots
from gradcheck.replay.results import rows_of
from gradcheck.replay.run import PassOps, PassRun, opaque_values
from gradcheck.replay.verdict import Evidence, GradientResult, PassResult, Problem, Verdict


def judge_recording(
    recording: Recording,
    sources: SourceMap,
    *,
    loss: str | None = None,
    pairs: Mapping[str, str] | None = None,
) -> Evidence:
    """Judges every manual gradient of every backward pass on the tape."""
    places = Places(sources)
    names = NameIndex(recording, places)
    evidence = Evidence()
    for plan in find_passes(recording, names, loss):
        result = _judge_under_likeliest_loss(
            recording, plan, names, places, dict(pairs or {}), len(evidence.passes)
        )
        if result.gradients:
            evidence.passes.append(result)
    return evidence


def _judge_under_likeliest_loss(
    recording: Recording, plan: PassPlan, names: NameIndex, places: Places, pairs: dict[str, str], index: int
) -> PassResult:
    """Where one loss is a part of another, the one under which most gradients are right is the one they are of."""
    best = _judge_pass(recording, plan, names, places, pairs, index)
    for other in plan.alternatives:
        if all(row.verdict in (Verdict.CORRECT, Verdict.UNOBSERVABLE) for row in best.gradients):
            break
        other.candidates, other.stop = plan.candidates, plan.stop
        other.updates = plan.updates
        tried = _judge_pass(recording, other, names, places, pairs, index)
        if _rightness(tried) > _rightness(best):
            best = tried
    return best


def _rightness(result: PassResult) -> int:
    right = sum(row.verdict in (Verdict.CORRECT, Verdict.UNOBSERVABLE) for row in result.gradients)
    return right - sum(row.verdict is Verdict.INTRODUCED for row in result.gradients)


def _judge_pass(
    recording: Recording, plan: PassPlan, names: NameIndex, places: Places, pairs: dict[str, str], index: int
) -> PassResult:
    location = places.location(plan.loss_op)
    result = PassResult(index, plan.loss_name, None, location, iteration=plan.iteration, cell=location.cell)
    prepared = PassOps(recording.ops, plan)
    try:
        run = PassRun(prepared, torch.float64)
    except ReplayError as error:
        result.notes.append(f"the forward pass of this loss cannot be checked: {error}")
        result.gradients = _all_unchecked(plan, names, places, str(error), index)
        return result
    result.loss_value = float(run.graph.loss_tensor.detach().sum())
    coarse: PassRun | None = None
    try:
        coarse = PassRun(prepared, torch.float32)
    except ReplayError:
        result.notes.append("the step could not be replayed in float32, so its rounding was not measured")
    opaque = opaque_values(recording.ops, plan)
    judge = Judge(plan, recording.ops, run, coarse, Partners(plan, names, pairs), opaque)
    judge.judge_all()
    result.probes = _probe(recording.ops, plan, prepared, judge, places)
    result.gradients = rows_of(judge, names, places, index)
    result.gradients += _unfinished(recording, plan, names, places, result.gradients, index)
    return result


# -- probe points ------------------------------------------------------------------------------------------------


def _probe(ops: list[Op], plan: PassPlan, prepared: PassOps, judge: Judge, places: Places) -> int:
    """Judges the same pairs again at jittered parameters; a fault seen only there was hidden by the
    initialisation. Returns how many probe points could be used."""
    doubtful = [
        j for j in judge.judged if j.verdict in (Verdict.CORRECT, Verdict.UNOBSERVABLE) and j.of is not None
    ]
    if not doubtful or has_frozen_numbers(ops, plan, places):
        return 0
    roots = probe_roots(plan, judge.judged, judge.run.graph.truth)
    if not roots:
        return 0
    seen_wrong: dict[int, list[float]] = {}
    seen_right: set[int] = set()
    used = 0
    for seed in range(PROBES):
        point = _Point(prepared, judge, jittered(judge.run, roots, seed))
        if not point.usable:
            continue
        used += 1
        for judged in judge.judged:
            outcome = point.judge(judged)
            if outcome is not None and outcome[0]:
                seen_wrong.setdefault(id(judged), []).append(outcome[1])
            elif outcome is not None and outcome[2]:
                seen_right.add(id(judged))
    if not used:
        return 0
    for judged in doubtful:
        errors = seen_wrong.get(id(judged), [])
        tainted = judged.candidate.value.root in judge.opaque
        if len(errors) == used and not tainted:
            judged.verdict = Verdict.INTRODUCED
            judged.problem = Problem.HIDDEN
            judged.reason = "right at this initialisation, wrong once the parameters have moved"
            judged.scale = None
            judge.hidden[id(judged)] = max(errors)
        elif judged.verdict is Verdict.UNOBSERVABLE and id(judged) in seen_right:
            judged.verdict = Verdict.CORRECT
            judged.reason = "the true gradient is zero here; at a probe point it is not, and this agrees"
    return used


class _Point:
    """One probe point: the pairs found at the recorded point, held against the truth at this one."""

    def __init__(self, prepared: PassOps, judge: Judge, overrides: dict[Value, torch.Tensor]) -> None:
        self._base = judge
        self._wrong: dict[Value, torch.Tensor] = {}
        self._expectations: dict[frozenset[Value], dict[Value, torch.Tensor]] = {}
        self._faulty: dict[int, frozenset[Value]] = {}
        self.usable = False
        try:
            self._run = PassRun(prepared, torch.float64, overrides)
            self._coarse = PassRun(prepared, torch.float32, overrides)
        except ReplayError:
            return
        self.usable = bool(torch.isfinite(self._run.graph.loss_tensor).all())
        self._judge = Judge(judge.plan, judge.ops, self._run, self._coarse, judge.partners, judge.opaque)
        self._follow()

    def _follow(self) -> None:
        """Walk the tape again with the pairs fixed, and collect what each line should give here."""
        self._outcomes: dict[int, tuple[bool, float, bool]] = {}
        if not self.usable:
            return
        pairs: dict[int, Judged] = {id(j.version): j for j in self._base.judged}
        by_op: dict[int, list[Judged]] = {}
        for judged in pairs.values():
            by_op.setdefault(judged.version.after, []).append(judged)
        last = max(by_op, default=-1)
        for op in self._judge.ops[self._judge.plan.start : last + 1]:
            self._judge.follow(op)
            for judged in by_op.get(op.index, ()):
                self._look(judged)

    def _look(self, judged: Judged) -> None:
        if judged.of is None:
            return
        version = judged.version
        found = self._run.captured.get(id(version))
        if found is None or not found.is_floating_point() or not bool(torch.isfinite(found).all()):
            return
        faults = self._judge.influence(version)
        gradients = self._judge.expectation(faults)[0]
        expected = self._closest(judged, found, gradients)
        if expected is None or expected.numel() != found.numel() or not bool(torch.isfinite(expected).all()):
            return
        noise = max(self._judge.noise(version), self._judge.noise_of(judged.of))
        size = max(norm(found), norm(expected))
        tolerance = self._judge.tolerance(version, size, noise)
        error = distance(found, expected)
        # Ten times the tolerance: at a probe point a fault that matters is far above it.
        wrong = error > 10 * tolerance
        observable = norm(expected) > tolerance and norm(expected) > 1e-3 * noise
        self._outcomes[id(judged)] = (wrong, error / size if size else 0.0, observable and not wrong)
        if wrong:
            self._judge.add_fault(judged, judged.of, found if found.shape == expected.shape else None)

    def _closest(
        self, judged: Judged, found: torch.Tensor, gradients: dict[Value, torch.Tensor]
    ) -> torch.Tensor | None:
        """The gradient at its partner; where several values had the same gradient at the recorded point (all
        samples at zero weights), the one that still fits is the one meant."""
        assert judged.of is not None
        scale = 1.0 if judged.scale is None else judged.scale
        options = [gradients.get(v) for v in (judged.of, *judged.alternatives)]
        fitting = [scale * g for g in options if g is not None and g.numel() == found.numel()]
        if not fitting:
            return None
        return min(fitting, key=lambda g: distance(found, g))

    def judge(self, judged: Judged) -> tuple[bool, float, bool] | None:
        """(wrong, relative local error, seen to be right), or None where nothing can be told."""
        return self._outcomes.get(id(judged))


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
