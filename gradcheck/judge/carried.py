"""Wrong gradients of one backward pass that a later pass of the program reads."""

from collections.abc import Iterable

from gradcheck.fronts.tape import Op
from gradcheck.judge.judge import Judge
from gradcheck.replay.passes import Candidate, PassPlan


def carried_over(plan: PassPlan, manual: Iterable[Op], earlier: Iterable[Judge]) -> list[Candidate]:
    """The wrong gradients of earlier passes that `manual`, the ops of this one, read. They are judged here once more, and
    have their rows where they were computed: what is computed from them here inherits from them."""
    values, own = plan.forward_values, {candidate.value for candidate in plan.candidates}
    last_read = {value.root: op.index for op in manual for value in op.inputs}
    found: dict[Candidate, None] = {}
    for judge in earlier:
        for fault in judge.faults:
            candidate, version = fault.judged.candidate, fault.judged.version
            is_read = last_read.get(candidate.value.root, -1) > max(version.after, plan.loss_op.index)
            if is_read and version.after >= plan.start and fault.at in values and candidate.value not in own:
                found[candidate] = None
    return list(found)
