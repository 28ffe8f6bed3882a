"""A loss that is only reported: `epoch_loss += -log_p.sum()`, while the gradients are those of the mean over the batch."""

import math

from gradcheck import ops
from gradcheck.judge.judge import Judge
from gradcheck.judge.pairing.added_up import SumOfLosses
from gradcheck.replay.compare import multiple_of, norm

_SAME = 1e-9  # relative, in float64


def share_of(judge: Judge) -> float:
    """The part of the loss that most gradients of parameters are of, of those that are one over a size of the step; 1 if
    there is none, or if the loss is anything but a term of a running sum that has no name of its own."""
    plan, truth = judge.plan, judge.run.graph.truth
    terms = [value for value in plan.loss_op.inputs if value in truth]
    sum_of = plan.loss_op.func
    is_running = plan.loss_op.operation is ops.ADD and len(terms) == 1
    if not isinstance(sum_of, SumOfLosses) and (not is_running or judge.names.forward_names(terms[0])):
        return 1.0
    moved = {update.parameter for update in plan.updates if update.parameter in truth}
    final = [c.versions[-1] for c in plan.candidates if c.binding is not None and c.versions[-1].final]
    gradients = [found for version in final if (found := judge.captured(version)) is not None]
    multiples = (multiple_of(found, truth[of], _SAME * norm(found)) for found in gradients for of in moved)
    if isinstance(sum_of, SumOfLosses):
        # Or their mean; of `loss` as well, where `scaled = loss * 1024` is added up.
        scales = {1.0, *(float(each) for value, each in truth.items() if value.shape == each.shape == ())}
        sizes = {scale * count for scale in scales for count in (1.0, sum_of.count)}
    else:
        shapes = (value.shape for op in plan.forward_ops for value in op.inputs)
        sizes = {float(size) for shape in shapes for size in (*shape, math.prod(shape))}
    fits = [float(f"{part:.12g}") for part in multiples if any(abs(part * n - 1) < _SAME for n in sizes)]
    return max(fits, key=fits.count, default=1.0)
