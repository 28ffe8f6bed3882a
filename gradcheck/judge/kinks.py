"""Numbers that lie on a kink: the maximum of two equal ones, a ReLU of exactly 0, as zero biases and zero inputs give it.

No derivative exists there, and whatever lies between the slopes on both sides is as right as what autograd takes. A little
beside it there is one, so that gradients are compared there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.replay.probes import jittered
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import ReplayError

_BESIDE = (
    1e-3  # of the jitter of a probe point: far above the rounding of float32, and no other branch is taken
)
_JUMP = 1e-3  # of the largest element: what one of them moves by there, if it does not follow the numbers
_MOST_ELEMENTS = 5_000_000
_SEED = 7


def points_beside(judge: Judge) -> Iterator[dict[Value, torch.Tensor]]:
    """Numbers of the leaves a little beside the recorded ones, on both sides, if the true gradients jump on the way there.
    Labels and masks stay as they are at first: they are no numbers that could be others."""
    run, leaves = judge.run, _leaves(judge)
    some = [leaf for leaf in leaves if not _is_label(run.graph.at_first(leaf))]
    for chosen in (some, leaves) if some != leaves else (leaves,):
        for share in (_BESIDE, -_BESIDE) if chosen else ():
            moved = jittered(run, chosen, _SEED, share)
            try:
                beside = PassRun(judge.prepared, torch.float64, moved)
                jumps = _jumps(run.graph.truth, beside.graph.truth)
            except ReplayError:
                continue
            if jumps:
                yield moved


def _leaves(judge: Judge) -> list[Value]:
    """What the forward pass begins with, and the backward pass reads or is the gradient of: parameters and data. A
    constant that the forward pass alone compares with stays what it is."""
    truth, plan = judge.run.graph.truth, judge.plan
    known = {j.of.root for j in judge.judged if j.of is not None}
    known |= {v.root for op in judge.prepared.manual if op.index > plan.loss_op.index for v in op.inputs}
    found = []
    for value in truth:
        made_of = value.producer.inputs if value.producer is not None else []
        if (
            value is not value.root
            or value not in known
            or any(v in truth and v.root is not value for v in made_of)
        ):
            continue
        tensor = judge.run.graph.at_first(value)
        if tensor.is_floating_point() and 0 < tensor.numel() <= _MOST_ELEMENTS:
            found.append(value)
    return found


def _is_label(tensor: torch.Tensor) -> bool:
    """Whole numbers that are not all the same. Those that are may be biases at their beginning."""
    first = tensor.reshape(-1)[0]
    return bool((tensor == tensor.round()).all()) and not bool((tensor == first).all())


def _jumps(here: Mapping[Value, torch.Tensor], there: Mapping[Value, torch.Tensor]) -> bool:
    both = ((here[value], there[value]) for value in here.keys() & there.keys() if here[value].numel())
    return any(
        old.shape == new.shape
        and bool((old - new).abs().max() > _JUMP * torch.maximum(old.abs().max(), new.abs().max()))
        for old, new in both
    )
