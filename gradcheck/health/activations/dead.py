"""Which dead units are worth reporting: random weights leave some of them off on all data by themselves.

In a network of relus what reaches a deep or narrow layer is nearly the same for every sample, so that a unit is
mostly on or mostly off for all of them; with weights drawn around zero some are off for good from the start, in right
programs too. How many is found by applying random weights to what the layer is really given.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

_DRAWN = 256  # units
# Makes the median distance from the median of normal numbers their standard deviation.
_NORMAL = 1.4826
MOST_INPUTS = 1 << 20  # numbers that are kept of what a layer is given


def dead_by_chance(inputs: Sequence[torch.Tensor]) -> float:
    """The share of units with normal weights and no bias that no row of `inputs` turns on."""
    rows = torch.cat(list(inputs))
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(rows.shape[1], _DRAWN, generator=generator, dtype=rows.dtype)
    return float(((rows @ weights) <= 0).all(0).double().mean())


def distances(means: torch.Tensor, stds: torch.Tensor) -> torch.Tensor:
    """How far the mean of each unit lies below the middle of its layer, in spreads."""
    spread = _NORMAL * float((means - means.median()).abs().median())
    scale = spread + float(stds.median())
    return (means.median() - means) / scale if scale else torch.zeros_like(means)
