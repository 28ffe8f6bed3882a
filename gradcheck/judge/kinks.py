"""Numbers that lie on a kink: the maximum of two equal ones, a ReLU of exactly 0, as zero biases and zero inputs give it.

No derivative exists there, and whatever lies between the slopes on both sides is as right as what autograd takes. A little
beside it there is one, so that gradients are compared there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import distance, norm
from gradcheck.replay.probes import jittered
from gradcheck.replay.run import PassOps, PassRun
from gradcheck.replay.runner import ReplayError

_BESIDE = (
    1e-3  # of the jitter of a probe point: far above the rounding of float32, and no other branch is taken
)
_JUMP = 1e-2  # relative: what a gradient moves by there, if it does not follow the numbers
_MOST_ELEMENTS = 5_000_000
_SEED = 7


def points_beside(prepared: PassOps, run: PassRun) -> Iterator[dict[Value, torch.Tensor]]:
    """Numbers of the leaves a little beside the recorded ones, if the true gradients jump on the way there. Labels and masks
    stay as they are at first: they are no numbers that could be others."""
    leaves = _leaves(run)
    tried: list[list[Value]] = []
    for chosen in ([leaf for leaf in leaves if not _is_label(run.graph.at_first(leaf))], leaves):
        if not chosen or chosen in tried:
            continue
        tried.append(chosen)
        moved = jittered(run, chosen, _SEED, _BESIDE)
        try:
            beside = PassRun(prepared, torch.float64, moved)
            jumps = _jumps(run.graph.truth, beside.graph.truth)
        except ReplayError:
            continue
        if jumps:
            yield moved


def _leaves(run: PassRun) -> list[Value]:
    """What the forward pass begins with: parameters and data that are made of nothing that has a gradient."""
    truth = run.graph.truth
    found = []
    for value in truth:
        made_of = value.producer.inputs if value.producer is not None else []
        if any(read in truth and read.root is not value.root for read in made_of):
            continue
        tensor = run.graph.at_first(value)
        if value is value.root and tensor.is_floating_point() and 0 < tensor.numel() <= _MOST_ELEMENTS:
            found.append(value)
    return found


def _is_label(tensor: torch.Tensor) -> bool:
    """Whole numbers that are not all the same. Those that are may be biases at their beginning."""
    first = tensor.reshape(-1)[0]
    return bool((tensor == tensor.round()).all()) and not bool((tensor == first).all())


def _jumps(here: Mapping[Value, torch.Tensor], there: Mapping[Value, torch.Tensor]) -> bool:
    both = ((here[value], there[value]) for value in here.keys() & there.keys())
    return any(
        old.shape == new.shape and distance(old, new) > _JUMP * max(norm(old), norm(new)) > 0
        for old, new in both
    )
