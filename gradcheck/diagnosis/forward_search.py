"""Searches the forward lines, where a gradient is right as it is written and the forward pass is not as it was meant."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gradcheck import ops
from gradcheck.diagnosis.clock import Clock
from gradcheck.diagnosis.evaluation import CannotEvaluateError
from gradcheck.diagnosis.found import Found
from gradcheck.diagnosis.mistakes.catalogue import single_edits
from gradcheck.diagnosis.mistakes.writing import Context, Edit, everywhere, spots_by_text
from gradcheck.diagnosis.normalised import is_centred, is_normalised
from gradcheck.diagnosis.patching import SitePatch, patches_for
from gradcheck.diagnosis.proving import Prover
from gradcheck.diagnosis.surroundings import Surroundings
from gradcheck.diagnosis.trial import Setting
from gradcheck.fronts.tape import Op, Value
from gradcheck.judge.judged import Judged
from gradcheck.judge.points import Point
from gradcheck.ops import Family
from gradcheck.replay.run import PassOps
from gradcheck.replay.runner import Runner

_DEAREST = 2.2  # cost up to which edits of a forward line are tried: slips
# What a normalisation divides by is a root, written in one of these ways.
_ROOTS = ops.POWERS | ops.SPREADS
_NORMALISES = "does not normalise here, and {} assumes it does", "does (mean 0, standard deviation 1)"
_ALIGNS = "broadcasts a column and a row to {} here, and {{}} keeps the rows apart", "keeps them apart too"


@dataclass(eq=False)
class ForwardSearch:
    """An edit of a forward line between the value of a gradient and those of its upstream gradients, that makes the
    gradient right as it is written *and* a value normalised that was only centred before, or two arrays fit each other that
    were broadcast against each other. Without such a sign nothing shows whether the forward or the backward line is not as
    it was meant."""

    surroundings: Surroundings
    prover: Prover

    def crossed(self, judged: Judged) -> tuple[int, ...]:
        """The shape that a column and a row make of each other there: `(n, 1)` and `(n,)`."""
        around = self.surroundings
        return _crossed(around.finder.forward_ops(judged, around.upstream(judged)))

    def find(self, group: list[Judged], clock: Clock) -> Found | None:
        """The smallest such edit that is proved."""
        judged, around = group[0], self.surroundings
        upstream = around.upstream(judged)
        ops = around.finder.forward_ops(judged, upstream)
        crossed = _crossed(ops)
        centred = [] if crossed else self._only_centred(judged, ops)
        if not centred and not crossed:
            return None
        sites = around.finder.forward(judged, upstream)
        contexts = around.contexts(sites, judged)
        setting = around.setting(judged, [value for context in contexts for _, value in context.tensors])
        if setting is None:
            return None
        edits = [
            (single.cost, i, single) for i, (site, context) in enumerate(zip(sites, contexts, strict=True))
            for single in (_aligned(site.tree, context) if crossed else single_edits(site.tree, context))
            if single.cost <= _DEAREST
        ]  # fmt: skip
        said = (_ALIGNS[0].format(crossed), _ALIGNS[1]) if crossed else _NORMALISES
        for cost, i, single in sorted(edits, key=lambda entry: entry[:2]):
            if clock.is_over:
                return None
            try:
                patches = patches_for(sites[i], single.tree, around.index)
            except CannotEvaluateError:
                continue
            if centred and not _normalises(ops, patches, setting, centred):
                continue
            if not self._is_right(patches, group):
                continue
            proof = self.prover.prove(patches, group)
            if proof.proved:
                return Found(sites[i], single.tree, patches, proof, cost, forward=said)
        return None

    def _only_centred(self, judged: Judged, ops: list[Op]) -> list[Value]:
        """Values between that of the gradient and its upstream's that have mean 0 and not standard deviation 1, if
        none of them is normalised as it should be."""
        if judged.of is None or not any(op.operation in _ROOTS for op in ops):
            return []
        graph = self.surroundings.judge.run.graph
        values = [v for op in ops for v in op.outputs if v.producer is op and v.shape == judged.of.shape]
        tensors = {value: graph.tensor(value).detach() for value in values}
        if any(is_normalised(tensor) for tensor in tensors.values()):
            return []
        return [value for value, tensor in tensors.items() if is_centred(tensor)]

    def _is_right(self, patches: dict[int, SitePatch], group: list[Judged]) -> bool:
        """At the recorded step; a proof, which costs several replays, comes after."""
        around = self.surroundings
        prepared = PassOps(around.judged_pass.plan, {v for patch in patches.values() for v in patch.reads})
        point = Point(prepared, around.judge, {}, patches, measure_noise=False)
        outcomes = [point.judge(judged) for judged in group] if point.usable else [None]
        return all(outcome is not None and not outcome[0] for outcome in outcomes)


def _normalises(ops: list[Op], patches: dict[int, SitePatch], setting: Setting, centred: list[Value]) -> bool:
    """Whether one of `centred` is normalised once the forward `ops` are run with the edit."""
    made = {value.root for op in ops for value in (*op.outputs, *op.mutated)}
    known = {value: tensor for value, tensor in setting.replay.env.items() if value.root not in made}
    replay = Runner(torch.float64, known=known, patches=patches)
    with torch.no_grad():
        replay.run(ops)
    return any(value in replay.env and is_normalised(replay.env[value]) for value in centred)


def _crossed(forward: list[Op]) -> tuple[int, ...]:
    for op in forward:
        shapes, made = {value.shape for value in op.inputs}, op.out.shape if isinstance(op.out, Value) else ()
        crosses = shapes == {made[:1], (*made[:1], 1)} and made[:1] * 2 == made != (1, 1)
        if op.operation.family is Family.ELEMENTWISE and crosses:
            return made
    return ()


def _aligned(tree: ast.expr | ast.stmt, context: Context) -> Iterator[Edit]:
    """One of them laid out as the other, wherever the piece reads it: the row, which is what is compared with, first."""
    for alike in spots_by_text(tree, context).values():
        held = alike[0].held
        assert isinstance(held, Value)
        if len(held.shape) == 1:
            yield everywhere(1.0, alike, "x.reshape(-1, 1)")
        elif held.shape[1:] == (1,):
            yield everywhere(2.0, alike, "x.reshape(-1)")
