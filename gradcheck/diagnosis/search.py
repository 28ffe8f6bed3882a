"""Searches for the smallest edit that makes a gradient right, and has it proved."""

from __future__ import annotations

import ast
import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gradcheck.diagnosis.edits.catalogue import single_edits
from gradcheck.diagnosis.edits.context import Context, Edit, Tree
from gradcheck.diagnosis.edits.scaling import scaled_by
from gradcheck.diagnosis.evaluation import CannotEvaluateError
from gradcheck.diagnosis.namespace import BindingIndex, UnknownNameError
from gradcheck.diagnosis.patching import SitePatch, patches_for
from gradcheck.diagnosis.proving import Proof, Prover
from gradcheck.diagnosis.sites import Site, SiteFinder
from gradcheck.diagnosis.trial import Setting, Trial
from gradcheck.recording.tape import Value
from gradcheck.replay.compare import distance, norm
from gradcheck.replay.judge import Judged
from gradcheck.replay.report_gradients import JudgedPass, Judgement
from gradcheck.replay.run import PassOps, PassRun

_MOST_TENSORS = 120  # names tried as operands
_MOST_PROOFS = 12  # edits that fit the recorded step and are put to the proof, per gradient
_PAIR_STARTS = 40  # single edits from which a second one is tried


@dataclass(frozen=True, slots=True)
class Found:
    """An edit that replay proved (or, with `proof.proved` false, that fits the recorded step only)."""

    site: Site
    tree: Tree
    patches: dict[int, SitePatch]
    proof: Proof
    cost: float


class Clock:
    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._end


class FixSearch:
    """For the gradients of one pass."""

    def __init__(self, judgement: Judgement, judged_pass: JudgedPass, index: BindingIndex) -> None:
        assert judged_pass.judge is not None
        self._judgement = judgement
        self._pass = judged_pass
        self._judge = judged_pass.judge
        self._index = index
        self.prover = Prover(judgement, judged_pass)
        self._finder = SiteFinder(
            judgement.recording.ops, judged_pass.plan, judgement.places, self._judge.judged
        )

    def backward(self, group: list[Judged], clock: Clock) -> Found | None:
        """An edit of the line of a gradient, or of a helper that only it was computed from. `group` are the gradients
        that one line computed and got wrong."""
        judged = group[0]
        if judged.of is None:
            return None
        chain = self._finder.backward_ops(judged)[::-1]
        attempts = []
        for site in self._finder.backward(judged):
            context = self._context(site, judged)
            setting = self._setting(judged, context)
            if setting is None:
                continue
            trial = Trial(site, judged, chain, setting, self._index)
            if trial.reproduces():
                attempts.append(_Attempt(site, trial, context))
        fallback: Found | None = None
        for tries, (attempt, edit) in enumerate(self._fitting(attempts, clock), start=1):
            found = self._proved(attempt, edit, group)
            if found is not None and found.proof.proved:
                return found
            if found is not None and found.proof.right and fallback is None:
                fallback = found
            if tries >= _MOST_PROOFS or clock.is_over:
                break
        return fallback

    # -- trying ----------------------------------------------------------------------------------------------------

    def _fitting(self, attempts: list[_Attempt], clock: Clock) -> Iterator[tuple[_Attempt, Edit]]:
        """Edits that make the gradient right where it is tried: single ones, then those that need a factor as well,
        then pairs, by cost."""
        queue: list[tuple[float, int, _Attempt, Edit]] = []
        order = 0
        for rank, attempt in enumerate(attempts):
            for edit in single_edits(attempt.site.tree, attempt.context):
                heapq.heappush(queue, (edit.cost + 0.15 * rank, order, attempt, edit))
                order += 1
        nearest: list[tuple[float, int, _Attempt, Edit]] = []
        seen: set[tuple[int, str]] = set()
        while queue and not clock.is_over:
            cost, _, attempt, edit = heapq.heappop(queue)
            key = (id(attempt), ast.dump(edit.tree))
            if key in seen:
                continue
            seen.add(key)
            outcome = attempt.tried(edit.tree)
            if outcome is None:
                continue
            if outcome.fits:
                yield attempt, edit
                continue
            if outcome.factor is not None:
                for scaled in scaled_by(edit.tree, outcome.factor, attempt.context):
                    heapq.heappush(
                        queue, (cost + scaled.cost, order, attempt, Edit(cost + scaled.cost, scaled.tree))
                    )
                    order += 1
            elif outcome.residual < 0.999:
                nearest.append((outcome.residual + 0.2 * cost, order, attempt, edit))
                order += 1
        yield from self._pairs(sorted(nearest, key=lambda entry: entry[:2])[:_PAIR_STARTS], seen, clock)

    def _pairs(
        self, starts: list[tuple[float, int, _Attempt, Edit]], seen: set[tuple[int, str]], clock: Clock
    ) -> Iterator[tuple[_Attempt, Edit]]:
        for _, _, attempt, first in starts:
            for second in single_edits(first.tree, attempt.context):
                if clock.is_over:
                    return
                if second.cost > 2.3:
                    break
                key = (id(attempt), ast.dump(second.tree))
                if key in seen:
                    continue
                seen.add(key)
                outcome = attempt.tried(second.tree)
                if outcome is not None and outcome.fits:
                    yield attempt, Edit(first.cost + second.cost, second.tree)

    def _proved(self, attempt: _Attempt, edit: Edit, group: list[Judged]) -> Found | None:
        try:
            patches = patches_for(attempt.site, edit.tree, self._index)
        except CannotEvaluateError:
            return None
        return Found(attempt.site, edit.tree, patches, self.prover.prove(patches, group), edit.cost)

    # -- surroundings ------------------------------------------------------------------------------------------------

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
            nearest[:_MOST_TENSORS], numbers, resolve, shape, "", frozenset(self._pass.plan.forward_values),
            list(dict.fromkeys(sizes)),
        )  # fmt: skip

    def _setting(self, judged: Judged, context: Context) -> Setting | None:
        """Where edits are tried: the recorded step or, for a fault that does not show there, a probe point."""
        also = [value for _, value in context.tensors]
        prepared = PassOps(self._judgement.recording.ops, self._pass.plan, also)
        judge, overrides = self._judge, None
        if id(judged) in self._judge.hidden:
            if not self._pass.points:
                return None
            judge, overrides = self._pass.points[0].judging, self._pass.points[0].overrides
        run = PassRun(prepared, torch.float64, overrides, keep=True)
        return Setting(judge, run.manual, prepared.mutated) if run.manual is not None else None


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


def _better(name: str, old: str | None) -> bool:
    """Plain names before items and attributes, then the nearest scope, which comes first."""
    return old is None or (name.isidentifier() and not old.isidentifier())
