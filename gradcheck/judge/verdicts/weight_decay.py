"""Weight decay that is added to a gradient: `dW += decay * W`, `g = g + decay * p`.

What comes out is the step an optimiser takes, and no longer the gradient of the loss: it is as right as the gradient it
was made of. That it is decay and nothing else shows in its numbers (a multiple of the parameter, or of its signs, is
all that was added) and in the parameter being read there.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Judged, Ruling
from gradcheck.replay.compare import norm
from gradcheck.replay.passes import Version
from gradcheck.replay.run import PassRun

# A single number is a multiple of any other, and two are a sum of multiples of any two: there, the operation decides.
_SAYS_NOTHING = 2


def weight_decay(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): the gradient was judged before; this is the optimiser's step. Of a part of a loss
    it is none: the other part may be what the decay is the gradient of."""
    if case.judge.plan.is_part:
        return None
    return NOT_JUDGED if is_decayed(case.version, case.judge.judged, case.judge.run) else None


def is_decayed(version: Version, judged: Iterable[Judged], run: PassRun) -> bool:
    """Whether this is, in `run`, a judged gradient plus a decay of its own parameter."""
    found = run.captured.get(id(version))
    if found is None or not found.is_floating_point():
        return False
    adds = bool(version.writes) and version.writes[-1].operation in ops.ADDITIVE
    if found.numel() <= _SAYS_NOTHING and not adds:
        return False
    own, moved = version.candidate.value, version.candidate.of
    loss = run.prepared.plan.loss_op.index

    def stop(value: Value) -> bool:
        return value is own or (value.producer is not None and value.producer.index <= loss)

    inputs = {value for op in version.writes for value in op.inputs}
    read = {value.root for start in inputs for value in flow.ancestors(start, stop=stop)}
    for earlier in judged:
        of, gradient = earlier.of, run.captured.get(id(earlier.version))
        if of is None or gradient is None or gradient.shape != found.shape or earlier.version is version:
            continue
        if earlier.candidate is not version.candidate and earlier.candidate.value.root not in read:
            continue
        if of.root not in read or of not in run.graph.truth or tuple(of.shape) != tuple(found.shape):
            continue
        if not _is_parameter(of) or (moved is not None and moved.root is not of.root):
            continue
        if adds_decay(found, gradient, of, run):
            return True
    return False


def adds_decay(found: torch.Tensor, gradient: torch.Tensor, parameter: Value, run: PassRun) -> bool:
    """Whether `found` is `gradient` and a decay of the parameter, which has the same shape, and nothing else."""
    weights = run.graph.tensor(parameter).detach()
    return found.shape == weights.shape and _is_multiple(found - gradient, weights, norm(found))


def _is_parameter(value: Value) -> bool:
    """Whether it is not computed from two things: an activation is, of data and a parameter."""
    made = [v.producer for v in flow.ancestors(value, stop=_is_joined) if v.producer is not None]
    return all(len(op.inputs) <= 1 for op in made)


def _is_joined(value: Value) -> bool:
    return value.producer is not None and len(value.producer.inputs) > 1


def _is_multiple(added: torch.Tensor, parameter: torch.Tensor, size: float) -> bool:
    """Whether `added` is a sum of multiples of the parameter and of its signs, and something if they are."""
    if norm(added) <= 1e-12 * size:
        return norm(parameter) == 0
    basis = torch.stack([parameter.reshape(-1), parameter.sign().reshape(-1)], 1).double()
    target = added.detach().double().reshape(-1, 1)
    coefficients = torch.linalg.lstsq(basis, target, driver="gelsd").solution
    return norm(target - basis @ coefficients) <= 1e-9 * max(size, norm(target))
