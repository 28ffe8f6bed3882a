"""The types of arrays: an object of one of these is a value on the tape. A front end adds those of its library."""

from __future__ import annotations

import torch

ARRAYS: tuple[type, ...] = (torch.Tensor,)
