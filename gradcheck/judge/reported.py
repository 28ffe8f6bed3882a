"""A loss that is only reported: `epoch_loss += -log_p.sum()`, while the gradients are those of the mean over the batch."""

import math

from gradcheck import ops
from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.replay.compare import multiple_of, norm

_SAME = 1e-9  # relative, in float64


def share_of(judge: Judge) -> float:
    """The part of the loss that most gradients of parameters are of, one over a size of the step; 1 if there is none, or
    if the loss is anything but a term of a running sum that has no name of its own."""
    plan, truth = judge.plan, judge.run.graph.truth
    terms = [value for value in plan.loss_op.inputs if value in truth]
    if plan.loss_op.operation is not ops.ADD or len(terms) != 1 or judge.names.forward_names(terms[0]):
        return 1.0
    moved = {update.parameter.root for update in plan.updates}
    factors: list[float] = []
    for judged in judge.judged:
        if (
            judged.of is not None
            and judged.of in truth
            and judged.of.root in moved
            and judged.version.final
            and judged.found is not None
        ):
            tolerance = _SAME * norm(judged.found)
            factors.append(float(f"{multiple_of(judged.found, truth[judged.of], tolerance):.12g}"))
    usual = max(factors, key=factors.count, default=1.0)
    sizes = {size for op in plan.forward_ops for value in op.inputs for size in _sizes(value)}
    fits = any(size > 1 and abs(usual * size - 1) < _SAME for size in sizes)
    return usual if fits and 2 * factors.count(usual) > len(factors) else 1.0


def _sizes(value: Value) -> tuple[int, ...]:
    return (*value.shape, math.prod(value.shape))
