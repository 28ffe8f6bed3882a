"""Weight decay that is added to a gradient: `dW += decay * W`, `g = g + decay * p`.

What comes out is the step an optimiser takes, and no longer the gradient of the loss: it is as right as the gradient it
was made of. That it is decay and nothing else is told from its numbers (a multiple of the parameter, or of its signs,
is all that was added) and from the parameter being read there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import norm
from gradcheck.replay.passes import Version

if TYPE_CHECKING:
    from gradcheck.judge.judge import Judged
    from gradcheck.replay.run import PassRun

_MOST_READS = 24
# A single number is a multiple of any other, and two are a sum of multiples of any two: there, the operation has to
# tell.
_TELLS_NOTHING = 2
_ADDS = {"add", "iadd", "radd", "sub", "isub", "rsub", "subtract"}


def is_decayed(version: Version, judged: Iterable[Judged], run: PassRun) -> bool:
    """Whether this is, in `run`, a judged gradient plus a decay of its own parameter."""
    found = run.captured.get(id(version))
    if found is None or not found.is_floating_point():
        return False
    read = _read_by(version)
    moved = version.candidate.of
    added = bool(version.writes) and version.writes[-1].name.strip("_") in _ADDS
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
        if found.numel() <= _TELLS_NOTHING and not added:
            continue
        if _is_multiple(found - gradient, run.graph.tensor(of).detach(), norm(found)):
            return True
    return False


def _is_parameter(value: Value) -> bool:
    """Whether it is not computed from two things: an activation is, of data and a parameter."""
    while value.producer is not None:
        inputs = value.producer.inputs
        if len(inputs) != 1:
            return not inputs
        value = inputs[0]
    return True


def _is_multiple(added: torch.Tensor, parameter: torch.Tensor, size: float) -> bool:
    """Whether `added` is a sum of multiples of the parameter and of its signs, and something if they are."""
    if norm(added) <= 1e-12 * size:
        return norm(parameter) == 0
    basis = torch.stack([parameter.reshape(-1), parameter.sign().reshape(-1)], 1).double()
    target = added.detach().double().reshape(-1, 1)
    coefficients = torch.linalg.lstsq(basis, target, driver="gelsd").solution
    return norm(target - basis @ coefficients) <= 1e-9 * max(size, norm(target))


def _read_by(version: Version) -> set[Value]:
    """The storages that the statements which built it read, directly or on the way."""
    found: set[Value] = set()
    pending = [value for op in version.writes for value in op.inputs]
    for _ in range(_MOST_READS):
        if not pending:
            break
        value = pending.pop(0)
        found.add(value.root)
        if value.producer is not None and value is not version.candidate.value:
            pending.extend(v for v in value.producer.inputs if v.root not in found)
    return found
