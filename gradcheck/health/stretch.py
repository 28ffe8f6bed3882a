"""A stretch of the tape with the tensors it computed: what layers are recognised in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Value
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.runner import ReplayError


@dataclass(frozen=True)
class Stretch:
    """`ops` in order, and `tensor` to ask for a value they read or made; it raises ReplayError for one that could
    not be replayed. The forward pass of a step is one, and so is what an evaluation computes."""

    ops: Sequence[Op]
    tensor: Callable[[Value], torch.Tensor]
    names: NameIndex
    places: Places

    def known(self, value: Value) -> torch.Tensor | None:
        return tensor_or_none(self.tensor, value)


def tensor_or_none(tensor: Callable[[Value], torch.Tensor], value: Value) -> torch.Tensor | None:
    """None where it could not be replayed."""
    try:
        return tensor(value)
    except ReplayError:
        return None
