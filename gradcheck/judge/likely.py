"""Which of several losses that are parts of one another the gradients are of, as far as numbers say before judging."""

import torch

from gradcheck.fronts.tape import Kind, Value
from gradcheck.replay.compare import Fingerprints, differentiable, norm
from gradcheck.replay.passes import PassPlan
from gradcheck.replay.run import PassOps, PassRun
from gradcheck.replay.runner import attempted
from gradcheck.replay.slices import roots_mutated

_FEW = 4  # times fewer are far fewer


def likely(plan: PassPlan, run: PassRun | None) -> list[PassPlan]:
    """`plan` and its alternatives, without those under which fewer of what the parameters are moved by is right than under
    others, or far fewer of all gradients. Judging under a loss that they are not of takes long: all of them are wrong
    then."""
    fitting = {plan: (0, 0) if run is None else _fitting(run, run.graph.truth)}
    for part in plan.alternatives:
        if run is not None and _shares_its_replay(part, run):
            fitting[part] = _fitting(run, run.graph.truth_under(part.loss))
        else:
            own = replayed(part)
            fitting[part] = (0, 0) if own is None else _fitting(own, own.graph.truth)
    most = max(moving for moving, _ in fitting.values())
    kept = [plan for plan, (moving, _) in fitting.items() if moving == most]
    return [plan for plan in kept if _FEW * fitting[plan][1] >= max(fitting[each][1] for each in kept)]


def replayed(plan: PassPlan) -> PassRun | None:
    return attempted(PassRun, PassOps(plan), torch.float64)


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


def _fitting(run: PassRun, truth: dict[Value, torch.Tensor]) -> tuple[int, int]:
    """How many of its gradients are, as they are, that of something under its loss: of those that move a parameter, and of
    all."""
    known = Fingerprints(truth)
    fits = [0, 0]
    for candidate in run.prepared.plan.candidates:
        gradient = run.captured.get(id(candidate.versions[-1]))
        if gradient is None or not differentiable(gradient) or gradient.numel() < 2:
            continue
        if known.equals(gradient, 1e-9 * norm(gradient)):
            fits = [fits[0] + (candidate.of is not None and not candidate.returned), fits[1] + 1]
    return fits[0], fits[1]
