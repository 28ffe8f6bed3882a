"""The types of arrays: an object of one of these is a value on the tape. A front end adds those of its library."""

from __future__ import annotations

import torch

_TORCH: tuple[type, ...] = (torch.Tensor,)
KINDS: tuple[type, ...] = _TORCH


def add(*kinds: type) -> None:
    """Objects of these types are arrays as well, until `reset`."""
    global KINDS
    KINDS = (*_TORCH, *kinds)


def reset() -> None:
    global KINDS
    KINDS = _TORCH
