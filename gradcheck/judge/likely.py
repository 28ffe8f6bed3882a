"""Which of several losses that are parts of one another the gradients are of, as far as numbers say before judging."""

import torch

from gradcheck.fronts.tape import Kind, Value
from gradcheck.replay.compare import Fingerprints, differentiable, norm
from gradcheck.replay.passes import PassPlan
from gradcheck.replay.run import PassOps, PassRun
from gradcheck.replay.runner import ReplayError
from gradcheck.replay.slices import roots_mutated

_FEW = 4  # times fewer are far fewer


def likely(plan: PassPlan, run: PassRun | None) -> list[PassPlan]:
    """`plan` and its alternatives, without those under which far fewer gradients are right than under others. Judging
    under a loss that they are not of takes long: all of them are wrong then."""
    fitting = {plan: 0 if run is None else _fitting(run, run.graph.truth)}
    for part in plan.alternatives:
        if run is not None and _shares_its_replay(part, run):
            fitting[part] = _fitting(run, run.graph.truth_under(part.loss))
        else:
            own = replayed(part)
            fitting[part] = 0 if own is None else _fitting(own, own.graph.truth)
    return [plan for plan in fitting if _FEW * fitting[plan] >= max(fitting.values())]


def replayed(plan: PassPlan) -> PassRun | None:
    try:
        return PassRun(PassOps(plan), torch.float64)
    except ReplayError:
        return None


def _shares_its_replay(part: PassPlan, run: PassRun) -> bool:
    """Whether a replay under the loss that `part` goes into is one under its own loss too: it computes the same values,
    nothing is changed in place afterwards, and autograd hands over none of its gradients."""
    whole, prepared = run.prepared.plan, run.prepared
    return (
        part.start == whole.start
        and not (part.given_ops or whole.given_ops)
        and set(prepared.forward).issuperset(part.forward_ops)
        and not roots_mutated(op for op in prepared.forward if op.index > part.loss_op.index)
        and run.graph.tensor(part.loss).requires_grad
        and not any(
            op.kind is Kind.UPSTREAM or any(value.autograd_of is not None for value in op.inputs)
            for op in prepared.manual
        )
    )


def _fitting(run: PassRun, truth: dict[Value, torch.Tensor]) -> int:
    """How many of its gradients are, as they are, that of something under its loss."""
    known = Fingerprints(truth)
    found = [run.captured.get(id(candidate.versions[-1])) for candidate in run.prepared.plan.candidates]
    return sum(
        bool(known.equals(gradient, 1e-9 * norm(gradient)))
        for gradient in found
        if gradient is not None and differentiable(gradient) and gradient.numel() > 1
    )
