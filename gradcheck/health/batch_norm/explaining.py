"""How what a statistic was computed from differs from the layer it is used at: which part of the network is missing."""

from __future__ import annotations

from gradcheck.fronts.tape import Op
from gradcheck.graph.match.normalisation import BatchNorm, Node
from gradcheck.health.context import PassContext
from gradcheck.health.evaluation.parameters import Trained, TrainedParameters
from gradcheck.replay.slices import Slicer


class Upstream:
    """`norms` are the normalisations after the training that stand for layers of it."""

    def __init__(
        self,
        context: PassContext,
        layers: list[BatchNorm],
        trained: TrainedParameters,
        aftermath: list[Op],
        norms: list[BatchNorm],
        slicer: Slicer,
    ) -> None:
        self._context = context
        self._layers = layers
        self._trained = trained
        self._aftermath = aftermath
        self._norms = norms
        self._slicer = slicer

    def difference(self, node: Node, number: int) -> str:
        """In words, or empty if the same parameters are in it."""
        if node.op is None or not self._aftermath:
            return ""
        there = self._slicer.slice([node.value], self._aftermath[0].index, node.op.index + 1)
        layer = self._layers[number]
        places = self._context.judgement.places
        plan = self._context.judged.plan
        end = (
            layer.entry.op.index
            if layer.entry.op is not None
            else layer.norm.op.index
            if layer.norm.op
            else 0
        )
        here = self._slicer.slice([layer.entry.value], plan.start, end + 1)
        used, needed = self._parameters(there), self._parameters(here)
        known = {op.index for op in here}
        for other in self._layers:
            op = other.norm.op
            if other is layer or op is None or op.index not in known:
                continue
            own = {t for t in map(self._trained.of, [*other.gammas, *other.betas]) if t is not None}
            if own and not own & used:
                return f"a network without the normalisation at line {places.location(op).line}"
        biases = {self._trained.of(v) for n in layer.before for v in n.parameters}
        missing = sorted(t.name for t in needed - used - {t for t in biases if t is not None})
        if missing:
            shown = ", ".join(f"`{name}`" for name in missing)
            return f"a network without {shown}"
        added = sorted(t.name for t in used - needed)
        if added:
            shown = ", ".join(f"`{name}`" for name in added)
            return f"a network that also has {shown} in front of it"
        return ""

    def _parameters(self, ops: list[Op]) -> set[Trained]:
        return {t for t in (self._trained.of(v) for op in ops for v in op.inputs) if t is not None}
