"""How what a statistic was computed from differs from the layer it is used at: which part of the network is missing."""

from __future__ import annotations

from gradcheck.graph.match.batch_norm import Node
from gradcheck.health.context import ProgramContext


def difference(program: ProgramContext, node: Node, number: int) -> str:
    """In words, between what the statistic `node` was computed from and layer `number` of the training; empty if the
    same parameters are in both."""
    aftermath, trained, context = program.aftermath, program.trained, program.passes[-1]
    if node.op is None or not aftermath.ops:
        return ""
    layer = context.batch_norms[number]
    used_at = layer.entry.op or layer.norm.op
    there = aftermath.slicer.slice([node.value], aftermath.ops[0].index, node.op.index + 1)
    stop = 1 + (used_at.index if used_at is not None else 0)
    here = aftermath.slicer.slice([layer.entry.value], context.judged.plan.start, stop)
    used, needed = (trained.among([v for op in ops for v in op.inputs]) for ops in (there, here))
    before = set(here)
    for other in context.batch_norms:
        op = other.norm.op
        if other is layer or op is None or op not in before:
            continue
        own = trained.among([*other.gammas, *other.betas])
        if own and not own & used:
            line = program.judgement.places.location(op).line
            return f"a network without the normalisation at line {line}"
    biases = trained.among([v for n in layer.before for v in n.parameters])
    missing, added = needed - used - biases, used - needed
    shown = ", ".join(f"`{name}`" for name in sorted(t.name for t in missing or added))
    if missing:
        return f"a network without {shown}"
    return f"a network that also has {shown} in front of it" if added else ""
