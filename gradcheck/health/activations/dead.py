"""Which dead units are worth a word: random weights leave some of them off on all data by themselves.

In a network of relus what reaches a deep layer is nearly the same for every sample, so that a unit is mostly on or
mostly off for all of them; with weights drawn around zero some are off for good from the start, in right programs too.
"""

from __future__ import annotations

import math

import torch

# No sample of a few hundred to a few thousand lies further from its mean than about this many standard deviations.
_EXTREME = 3.0
# Makes the median distance from the median of normal numbers their standard deviation.
_NORMAL = 1.4826


def expected_dead(means: torch.Tensor, stds: torch.Tensor) -> float:
    """The share of units that would be off on every sample if what goes into them had means spread around zero as
    they are spread here around their middle."""
    spread = _spread(means)
    if spread == 0:
        return 0.0
    return 0.5 * math.erfc(_EXTREME * float(stds.median()) / spread / math.sqrt(2))


def distances(means: torch.Tensor, stds: torch.Tensor) -> torch.Tensor:
    """How far the mean of each unit lies below the middle of its layer, in spreads."""
    scale = _spread(means) + float(stds.median())
    return (means.median() - means) / scale if scale else torch.zeros_like(means)


def _spread(means: torch.Tensor) -> float:
    return _NORMAL * float((means - means.median()).abs().median())
