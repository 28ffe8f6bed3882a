"""Searches for the smallest edit that makes a gradient right, and has it proved."""

from __future__ import annotations

import ast
import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gradcheck.diagnosis.edits import formulas
from gradcheck.diagnosis.edits.catalogue import SLIPS, single_edits
from gradcheck.diagnosis.edits.context import Context, Edit, binary, edit
from gradcheck.diagnosis.edits.formulas import Step
from gradcheck.diagnosis.edits.scaling import scaled_by, scaled_expressions
from gradcheck.diagnosis.edits.terms import missing_terms
from gradcheck.diagnosis.evaluation import CannotEvaluateError, Tree
from gradcheck.diagnosis.namespace import BindingIndex, UnknownNameError
from gradcheck.diagnosis.normalised import is_centred, is_normalised
from gradcheck.diagnosis.patching import SitePatch, patches_for
from gradcheck.diagnosis.proving import Proof, Prover
from gradcheck.diagnosis.sites import Site, SiteFinder
from gradcheck.diagnosis.syntax import Path, expressions
from gradcheck.diagnosis.trial import Setting, Trial
from gradcheck.recording.tape import Op, Value
from gradcheck.replay.compare import distance, norm
from gradcheck.replay.engine import Replay
from gradcheck.replay.judge import Judged
from gradcheck.replay.points import Point
from gradcheck.replay.report_gradients import JudgedPass, Judgement
from gradcheck.replay.run import PassOps, PassRun

_MOST_TENSORS = 120  # names tried as operands
_MOST_PROOFS = 12  # edits that fit the recorded step and are put to the proof, per gradient
_ROOTS = {"pow", "__pow__", "__rpow__", "sqrt", "rsqrt", "std", "var", "float_power"}
_FURTHER = 0.15  # cost of editing a helper rather than the line itself, per line further away
_SOME_RELATION = 0.999  # residual of the best multiple from which an edit brought nothing
_DEAREST_SECOND = 2.3
_COEFFICIENT_STARTS = 200
_SMALLEST_COEFFICIENT = 1e-9  # a term to be left out is another edit
_PAIR_STARTS = 40  # single edits from which a second one is tried


@dataclass(frozen=True, slots=True)
class Found:
    """An edit that replay proved (or, with `proof.proved` false, that fits the recorded step only)."""

    site: Site
    tree: Tree
    patches: dict[int, SitePatch]
    proof: Proof
    cost: float
    is_forward: bool = False


class Clock:
    """Counts processor time, so that what is found does not depend on what else the machine does."""

    def __init__(self, seconds: float) -> None:
        self._end = time.process_time() + seconds

    @property
    def is_over(self) -> bool:
        return time.process_time() > self._end


class FixSearch:
    """For the gradients of one pass."""

    def __init__(self, judgement: Judgement, judged_pass: JudgedPass, index: BindingIndex) -> None:
        assert judged_pass.judge is not None
        self._judgement = judgement
        self._pass = judged_pass
        self._judge = judged_pass.judge
        self._index = index
        self._literals = _floats(judged_pass.plan.forward_ops)
        self.prover = Prover(judgement, judged_pass)
        self._finder = SiteFinder(
            judgement.recording.ops, judged_pass.plan, judgement.places, self._judge.judged
        )

    def find(self, group: list[Judged], clock: Clock) -> Found | None:
        """The smallest proved edit for the gradients `group` that one line computed and got wrong: of that line, of a
        helper that it was computed from or, where those are right as they stand, of a forward line. Failing that, an
        edit that fits the recorded step and could be proved nowhere else."""
        judged = group[0]
        attempts = self._attempts(judged)
        search = _Enumeration(attempts, clock, self._steps(judged, attempts))
        fallback: Found | None = None
        for stage in (search.singles, None, search.coefficients, search.terms, search.pairs):
            if stage is None:
                found = self._forward(group, clock)
                if found is not None:
                    return found
                continue
            for tries, (attempt, fitting) in enumerate(stage(), start=1):
                found = self._proved(attempt, fitting, group)
                if found is not None and found.proof.proved:
                    return found
                if found is not None and found.proof.right and fallback is None:
                    fallback = found
                if tries >= _MOST_PROOFS:
                    break
        return fallback

    def mends(self, found: Found, group: list[Judged]) -> bool:
        """Whether a fix found for another gradient makes these right as well."""
        if not found.patches:
            return False
        return self.prover.prove(found.patches, group).proved

    def _steps(self, judged: Judged, attempts: list[_Attempt]) -> list[Step]:
        """Single forward operations from the value of the gradient to one whose gradient has a name here."""
        if not attempts or judged.of is None:
            return []
        names = {value: text for text, value in reversed(attempts[0].context.tensors)}
        steps = []
        for op in self._pass.plan.forward_ops:
            if not isinstance(op.out, Value) or judged.of not in op.inputs:
                continue
            for upstream in self._judge.judged:
                if upstream.of is op.out and upstream.candidate.value in names:
                    value, result = names.get(judged.of, ""), names.get(op.out, "")
                    steps.append(Step(op, names[upstream.candidate.value], value, result))
        return steps

    def holds_together(self, fixes: list[tuple[Found, list[Judged]]]) -> bool:
        """Whether all these fixes, made at once, leave every gradient concerned right."""
        patches: dict[int, SitePatch] = {}
        sites: dict[int, tuple[Site, str]] = {}
        for found, _ in fixes:
            for after, patch in found.patches.items():
                known = sites.get(after)
                text = ast.dump(found.tree)
                if known is not None and known != (found.site, text):
                    same = known[0].span == found.site.span and known[1] == text
                    if not same:
                        return False
                sites[after] = (found.site, text)
                patches[after] = patch
        return self.prover.prove(patches, [judged for _, group in fixes for judged in group]).right

    def _attempts(self, judged: Judged) -> list[_Attempt]:
        """The pieces of source whose names are understood: evaluated as they stand they give what was recorded."""
        if judged.of is None:
            return []
        chain = self._finder.backward_ops(judged)[::-1]
        sites = self._finder.backward(judged)
        contexts = [self._context(site, judged) for site in sites]
        setting = self._setting(judged, [value for context in contexts for _, value in context.tensors])
        if setting is None:
            return []
        found = []
        for site, context in zip(sites, contexts, strict=True):
            trial = Trial(site, judged, chain, setting, self._index)
            if trial.reproduces():
                found.append(_Attempt(site, trial, context))
        return found

    def _forward(self, group: list[Judged], clock: Clock) -> Found | None:
        """An edit of a forward line between the value of a gradient and those of its upstream gradients, that makes
        the gradient right as it is written *and* a value normalised that was only centred before. Without such a
        sign nothing tells whether it is the forward or the backward line that is not as it was meant."""
        judged = group[0]
        centred = self._centred(judged)
        if not centred:
            return None
        ops = self._finder.forward_ops(judged, self._upstream(judged))
        sites = self._finder.forward(judged, self._upstream(judged))
        contexts = [self._context(site, judged) for site in sites]
        setting = self._setting(judged, [value for context in contexts for _, value in context.tensors])
        if setting is None:
            return None
        edits = [
            (single.cost, i, single) for i, (site, context) in enumerate(zip(sites, contexts, strict=True))
            for single in single_edits(site.tree, context, SLIPS)
        ]  # fmt: skip
        for _, i, single in sorted(edits, key=lambda entry: entry[:2]):
            if clock.is_over:
                return None
            try:
                patches = patches_for(sites[i], single.tree, self._index)
            except CannotEvaluateError:
                continue
            if not _normalises(ops, patches, setting, centred):
                continue
            point = self._point(patches)
            if point is None or not self._is_right_at(point, group):
                continue
            proof = self.prover.prove(patches, group)
            if proof.proved:
                return Found(sites[i], single.tree, patches, proof, single.cost, is_forward=True)
        return None

    def _centred(self, judged: Judged) -> list[Value]:
        """Values between that of the gradient and its upstream's that have mean 0 and not standard deviation 1, if
        none of them is normalised as it should be."""
        if judged.of is None:
            return []
        tensors = self._judge.run.graph
        ops = self._finder.forward_ops(judged, self._upstream(judged))
        if not any(op.name in _ROOTS for op in ops):
            return []
        values = [v for op in ops for v in op.outputs if v.producer is op and v.shape == judged.of.shape]
        found = {v: tensors.tensor(v).detach() for v in values}
        if any(is_normalised(tensor) for tensor in found.values()):
            return []
        return [value for value, tensor in found.items() if is_centred(tensor)]

    def _upstream(self, judged: Judged) -> list[Value]:
        """The values whose gradients the line of this one read; the loss if it read none."""
        read = {v.root for op in self._finder.backward_ops(judged) for v in op.inputs}
        found = [
            j.of for j in self._judge.judged
            if j.of is not None and j is not judged and j.candidate.value.root in read
            and j.candidate.value.root is not judged.candidate.value.root
        ]  # fmt: skip
        return list(dict.fromkeys(found)) or [self._pass.plan.loss]

    def _point(self, patches: dict[int, SitePatch]) -> Point | None:
        reads = {value for patch in patches.values() for value in patch.reads}
        prepared = PassOps(self._pass.plan, reads)
        point = Point(prepared, self._judge, {}, patches, measure_noise=False)
        return point if point.usable else None

    @staticmethod
    def _is_right_at(point: Point, group: list[Judged]) -> bool:
        outcomes = [point.judge(judged) for judged in group]
        return all(outcome is not None and not outcome[0] for outcome in outcomes)

    def _proved_alone(self, attempt: _Attempt, fitting: Edit, judged: Judged) -> Found | None:
        site = attempt.site

        def is_right(setting: Setting) -> bool:
            outcome = _Attempt(site, Trial(site, judged, [], setting, self._index), attempt.context).tried(
                fitting.tree
            )
            return outcome is not None and outcome.fits

        try:
            reads = site.prepare(fitting.tree, site.own[0], self._index).reads
        except CannotEvaluateError:
            return None
        return Found(site, fitting.tree, {}, self.prover.prove_alone(is_right, reads), fitting.cost)

    # -- surroundings ----------------------------------------------------------------------------------------------------

    def _proved(self, attempt: _Attempt, fitting: Edit, group: list[Judged]) -> Found | None:
        if attempt.site.is_alias:
            return self._proved_alone(attempt, fitting, group[0])
        try:
            patches = patches_for(attempt.site, fitting.tree, self._index)
        except CannotEvaluateError:
            return None
        return Found(attempt.site, fitting.tree, patches, self.prover.prove(patches, group), fitting.cost)

    def _context(self, site: Site, judged: Judged) -> Context:
        namespace = site.namespace(site.own[-1], self._index)
        tensors: dict[Value, str] = {}
        for name, value in namespace.tensors():
            if value.birth <= namespace.when and _better(name, tensors.get(value)):
                tensors[value] = name
        nearest = sorted(((name, value) for value, name in tensors.items()), key=lambda pair: -pair[1].birth)
        nodes: dict[int, tuple[ast.expr, object]] = {}

        def resolve(node: ast.expr) -> object:
            known = nodes.get(id(node))
            if known is None:
                try:
                    known = (node, namespace.resolve(node))
                except UnknownNameError:
                    known = (node, None)
                nodes[id(node)] = known
            return known[1]

        assert judged.of is not None
        shape = tuple(judged.of.shape)
        read = [v for op in self._finder.backward_ops(judged) for v in op.inputs]
        sizes = [size for value in [judged.of, *read] for size in value.shape if size > 1]
        numbers = list(namespace.numbers())
        return Context(
            nearest[:_MOST_TENSORS], numbers, resolve, shape, namespace.parameters,
            frozenset(self._pass.plan.forward_values), list(dict.fromkeys(sizes)), self._literals,
        )  # fmt: skip

    def _setting(self, judged: Judged, also: list[Value]) -> Setting | None:
        """Where edits are tried: the recorded step or, for a fault that does not show there, a probe point."""
        prepared = PassOps(self._pass.plan, also)
        judge, overrides = self._judge, None
        if id(judged) in self._judge.hidden:
            if not self._pass.points:
                return None
            judge, overrides = self._pass.points[0].judging, self._pass.points[0].overrides
        run = PassRun(prepared, torch.float64, overrides, keep=True)
        return Setting(judge, run.manual, prepared.mutated) if run.manual is not None else None


@dataclass(eq=False)
class _Enumeration:
    """Goes through edits by cost and yields those that make the gradient right where they are tried."""

    attempts: list[_Attempt]
    clock: Clock
    steps: list[Step]

    def __post_init__(self) -> None:
        self._nearest: list[tuple[float, int, _Attempt, Edit]] = []
        self._seen: set[tuple[int, str]] = set()

    def singles(self) -> Iterator[tuple[_Attempt, Edit]]:
        """Single edits, and those that need a constant factor as well."""
        queue: list[tuple[float, int, _Attempt, Edit]] = []
        order = 0
        for attempt in self.attempts:
            heapq.heappush(
                queue, (0.0, order, attempt, Edit(0.0, attempt.site.tree))
            )  # right but for a factor?
            order += 1
        for rank, attempt in enumerate(self.attempts):
            written_anew = (
                list(formulas.edits(attempt.site.tree, attempt.context, self.steps)) if not rank else []
            )
            for single in [*single_edits(attempt.site.tree, attempt.context), *written_anew]:
                heapq.heappush(queue, (single.cost + _FURTHER * rank, order, attempt, single))
                order += 1
        while queue and not self.clock.is_over:
            cost, _, attempt, single = heapq.heappop(queue)
            outcome = self._tried(attempt, single)
            if outcome is None:
                continue
            if outcome.fits:
                yield attempt, single
            elif outcome.factor is not None:
                for scaled in scaled_by(single.tree, outcome.factor, attempt.context):
                    both = Edit(single.cost + scaled.cost, scaled.tree)
                    heapq.heappush(queue, (cost + scaled.cost, order, attempt, both))
                    order += 1
            elif outcome.residual < _SOME_RELATION:
                self._nearest.append((outcome.residual + 0.2 * cost, order, attempt, single))
                order += 1

    def coefficients(self) -> Iterator[tuple[_Attempt, Edit]]:
        """A wrong coefficient of one operand (2/n for 1/n in one of two terms): if the gradient is affine in the
        operand, two evaluations tell which multiple of it would be right."""
        nearest = sorted(self._nearest, key=lambda entry: entry[:2])[:_COEFFICIENT_STARTS]
        starts = [(a, Edit(0.0, a.site.tree)) for a in self.attempts] + [(a, e) for _, _, a, e in nearest]
        for attempt, start in starts:
            for path, node in _operands(start.tree):
                if self.clock.is_over:
                    return
                factor = attempt.coefficient(start.tree, path, node)
                if factor is None:
                    continue
                for scaled in scaled_expressions(node, factor, attempt.context):
                    both = edit(start.cost + scaled.cost, start.tree, path, scaled.tree)
                    outcome = self._tried(attempt, both)
                    if outcome is not None and outcome.fits:
                        yield attempt, both

    def terms(self) -> Iterator[tuple[_Attempt, Edit]]:
        """A missing term."""
        for attempt in self.attempts:
            for with_term in attempt.missing_terms(self.clock):
                outcome = self._tried(attempt, with_term)
                if outcome is not None and outcome.fits:
                    yield attempt, with_term

    def pairs(self) -> Iterator[tuple[_Attempt, Edit]]:
        """A second edit on top of the single ones that came nearest."""
        for _, _, attempt, first in sorted(self._nearest, key=lambda entry: entry[:2])[:_PAIR_STARTS]:
            for second in single_edits(first.tree, attempt.context):
                if self.clock.is_over:
                    return
                if second.cost > _DEAREST_SECOND:
                    break
                outcome = self._tried(attempt, second)
                if outcome is not None and outcome.fits:
                    yield attempt, Edit(first.cost + second.cost, second.tree)

    def _tried(self, attempt: _Attempt, single: Edit) -> _Outcome | None:
        outcome = attempt.tried(single.tree)
        if outcome is not None and outcome.fits:
            key = (id(attempt), ast.dump(single.tree))
            if key in self._seen:
                return None
            self._seen.add(key)
        return outcome


@dataclass(slots=True)
class _Outcome:
    fits: bool
    factor: float | None  # the gradient would be right if multiplied with this
    residual: float  # of the best multiple, relative: 0 right but for a factor, 1 nothing in common


@dataclass(eq=False)
class _Attempt:
    site: Site
    trial: Trial
    context: Context

    def missing_terms(self, clock: Clock) -> Iterator[Edit]:
        tree = self.site.tree
        if not isinstance(tree, ast.expr) or not self.trial.is_direct:
            return
        try:
            found, reads = self.trial.result(tree)
        except CannotEvaluateError:
            return
        expected = self.trial.expected(reads)
        if expected is None or expected.shape != found.shape:
            return
        tolerance = self.trial.tolerance(expected)
        yield from missing_terms(
            tree, expected - found, tolerance, self.context, self.trial.tensor_of, lambda: clock.is_over
        )

    def coefficient(self, tree: Tree, path: Path, node: ast.expr) -> float | None:
        """The number by which an operand has to be multiplied for the gradient to be right; None if there is none."""
        without = edit(0.0, tree, path, binary(node, ast.Mult(), ast.Constant(0))).tree
        try:
            one, reads = self.trial.result(tree)
            nothing, _ = self.trial.result(without)
        except CannotEvaluateError:
            return None
        expected = self.trial.expected(reads)
        if expected is None or one.shape != expected.shape or nothing.shape != expected.shape:
            return None
        share, wanted = one - nothing, expected - nothing
        size = norm(share)
        if not 0 < size < float("inf") or not bool(torch.isfinite(wanted).all()):
            return None
        factor = float((share * wanted).sum()) / size**2
        fits = distance(factor * share, wanted) <= self.trial.tolerance(expected)
        return factor if fits and abs(factor) > _SMALLEST_COEFFICIENT and abs(factor - 1) > 1e-9 else None

    def tried(self, tree: Tree) -> _Outcome | None:
        try:
            found, reads = self.trial.result(tree)
        except CannotEvaluateError:
            return None
        expected = self.trial.expected(reads)
        if expected is None or found.shape != expected.shape or not found.is_floating_point():
            return None
        if not bool(torch.isfinite(found).all()):
            return None
        tolerance = self.trial.tolerance(expected)
        size, wanted = norm(found), norm(expected)
        if distance(found, expected) <= tolerance:
            # A gradient that is zero by invariance must come out as such a zero, not as a plain one.
            return _Outcome(wanted > tolerance or size > 0, None, 0.0)
        if size == 0 or wanted <= tolerance:
            return _Outcome(False, None, 1.0)
        factor = float((found * expected).sum()) / size**2
        left = distance(factor * found, expected)
        if left <= tolerance and factor != 0:
            return _Outcome(False, factor, 0.0)
        return _Outcome(False, None, left / wanted)


def _operands(tree: Tree) -> list[tuple[Path, ast.expr]]:
    """What may have a coefficient of its own: terms of sums, and arguments of calls such as `torch.where`."""
    found: list[tuple[Path, ast.expr]] = []
    for path, node in expressions(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            found += [((*path, ("left", None)), node.left), ((*path, ("right", None)), node.right)]
        elif isinstance(node, ast.Call):
            found += [
                ((*path, ("args", i)), a) for i, a in enumerate(node.args) if not isinstance(a, ast.Starred)
            ]
        elif isinstance(tree, ast.AugAssign) and path == (("value", None),):
            found.append((path, node))
    return found


def _normalises(ops: list[Op], patches: dict[int, SitePatch], setting: Setting, centred: list[Value]) -> bool:
    """Whether one of `centred` is normalised once the forward `ops` are run with the edit."""
    made = {v.root for op in ops for v in (*op.outputs, *op.mutated)}
    known = {v: t for v, t in setting.replay.env.items() if v.root not in made}
    replay = Replay(torch.float64, known=known, mutated=setting.mutated, patches=patches)
    with torch.no_grad():
        replay.run(ops)
    return any(value in replay.env and is_normalised(replay.env[value]) for value in centred)


def _floats(ops: list[Op]) -> list[float]:
    """The Python numbers that the forward pass computes with, but for whole ones."""
    numbers = (a for op in ops for a in (*op.args, *(op.kwargs or {}).values()) if type(a) is float)
    return [number for number in dict.fromkeys(numbers) if not number.is_integer()][:20]


def _better(name: str, old: str | None) -> bool:
    """Plain names before items and attributes, then the nearest scope, which comes first."""
    return old is None or (name.isidentifier() and not old.isidentifier())
