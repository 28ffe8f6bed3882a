"""Weight decay that is added to a gradient: `dW += decay * W`, `g = g + decay * p`.

What comes out is the step an optimiser takes, and no longer the gradient of the loss: it is as right as the gradient it
was made of. That it is decay and nothing else shows in its numbers (a multiple of the parameter, or of its signs, is
all that was added) and in the parameter being read there.
"""

from collections.abc import Iterable

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph import flow
from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Judged, Ruling
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.compare import norm
from gradcheck.replay.passes import Version
from gradcheck.replay.run import PassRun

# A single number is a multiple of any other, and two are a sum of multiples of any two: there, it shows in the operation.
_SAYS_NOTHING = 2


def weight_decay(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): the gradient was judged before; this is the optimiser's step. Of a part of a loss
    it is none: the other part may be what the decay is the gradient of."""
    judge, proposal = case.judge, case.proposal
    if judge.plan.is_part:
        return None
    if is_decayed(case.version, judge.judged, judge.run):
        return NOT_JUDGED
    of = proposal.value if proposal is not None else None
    if of is None or of not in case.gradients or _is_in_loss_alone(of, judge.plan.forward_ops):
        return None
    if not _decays(case.version, of, case.gradients[of], judge.run):
        return None
    shown = judge.partners.shown(of)
    reason = f"it is the right gradient plus a multiple of `{shown}`: that is weight decay, and the loss has no such term"
    return Ruling(case.judged(proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason))


def is_decayed(version: Version, judged: Iterable[Judged], run: PassRun) -> bool:
    """Whether this is, in `run`, a judged gradient plus a decay of its own parameter."""
    read = _read(version, run)
    for earlier in judged:
        of, gradient = earlier.of, run.captured.get(id(earlier.version))
        if of is None or gradient is None or earlier.version is version:
            continue
        made_of_it = earlier.candidate is version.candidate or earlier.candidate.value.root in read
        if made_of_it and _decays(version, of, gradient, run):
            return True
    return False


def _read(version: Version, run: PassRun) -> set[Value]:
    own, loss = version.candidate.value, run.prepared.plan.loss_op.index

    def stop(value: Value) -> bool:
        return value is own or (value.producer is not None and value.producer.index <= loss)

    inputs = {value for op in version.writes for value in op.inputs}
    return {value.root for start in inputs for value in flow.ancestors(start, stop=stop)}


def _decays(version: Version, of: Value, gradient: torch.Tensor, run: PassRun) -> bool:
    found, moved = run.captured.get(id(version)), version.candidate.of
    if found is None or not found.is_floating_point() or not found.shape == gradient.shape == tuple(of.shape):
        return False
    last = version.writes[-1] if version.writes else None
    adds = (
        last is not None
        and last.operation in ops.ADDITIVE
        and any(_is_of_alone(value, of) for value in last.inputs)
    )
    if (found.numel() <= _SAYS_NOTHING and not adds) or (moved is not None and moved.root is not of.root):
        return False
    is_read = of in run.graph.truth and _is_parameter(of) and of.root in _read(version, run)
    return is_read and adds_decay(found, gradient, of, run)


def _is_in_loss_alone(parameter: Value, forward_ops: Iterable[Op]) -> bool:
    """Whether the loss has a term of nothing but the parameter."""
    of_it = {parameter}
    for op in forward_ops:
        if op.inputs and of_it.issuperset(op.inputs):
            of_it.update(op.outputs)
            if not op.operation.keeps_numbers:
                return True
    return False


def adds_decay(found: torch.Tensor, gradient: torch.Tensor, parameter: Value, run: PassRun) -> bool:
    """Whether `found` is `gradient` and a decay of the parameter, which has the same shape, and nothing else."""
    weights = run.graph.tensor(parameter).detach()
    return found.shape == weights.shape and _is_multiple(found - gradient, weights, norm(found))


def _is_of_alone(value: Value, parameter: Value) -> bool:
    """Whether it is computed from the parameter and from plain numbers."""
    while value.root is not parameter.root:
        if value.producer is None or len(value.producer.inputs) != 1:
            return False
        (value,) = value.producer.inputs
    return True


def _is_parameter(value: Value) -> bool:
    """Whether it is not computed from two things: an activation is, of data and a parameter."""
    behind = flow.ancestors(value, stop=lambda v: v.producer is not None and len(v.producer.inputs) > 1)
    return all(v.producer is None or len(v.producer.inputs) <= 1 for v in behind)


def _is_multiple(added: torch.Tensor, parameter: torch.Tensor, size: float) -> bool:
    """Whether `added` is a sum of multiples of the parameter and of its signs, and something if they are."""
    if norm(added) <= 1e-12 * size:
        return norm(parameter) == 0
    basis = torch.stack([parameter.reshape(-1), parameter.sign().reshape(-1)], 1).double()
    target = added.detach().double().reshape(-1, 1)
    coefficients = torch.linalg.lstsq(basis, target, driver="gelsd").solution
    return norm(target - basis @ coefficients) <= 1e-9 * max(size, norm(target))
