"""What a family may look at: one recorded step as it was judged, or the whole program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from gradcheck.fronts.tape import Recording, Value
from gradcheck.health.stretch import Stretch
from gradcheck.judge.judge import Judge
from gradcheck.judge.judgement import JudgedPass, Judgement

if TYPE_CHECKING:
    from gradcheck.base.thresholds import Thresholds


@dataclass(frozen=True)
class ProgramContext:
    """The whole program. `passes` are the steps whose health is measured, in the order they ran."""

    judgement: Judgement
    passes: list[PassContext]
    thresholds: Thresholds
    samples: str | None = None  # the name that holds generated sequences (`--samples`)

    @property
    def recording(self) -> Recording:
        return self.judgement.recording


@dataclass(frozen=True)
class PassContext:
    """One recorded step whose forward pass can be replayed."""

    judgement: Judgement
    judged: JudgedPass
    judge: Judge
    thresholds: Thresholds

    @property
    def index(self) -> int:
        return self.judged.result.index

    @property
    def iteration(self) -> int | None:
        return self.judged.plan.iteration

    @cached_property
    def forward(self) -> Stretch:
        """Its forward pass, with the tensors of the recorded batch in float64."""
        graph = self.judge.run.graph
        ops = self.judged.plan.forward_ops
        return Stretch(ops, graph.tensor, self.judgement.names, self.judgement.places)

    @property
    def truth(self) -> Mapping[Value, torch.Tensor]:
        """dL/dx of every forward value on the recorded batch, in float64."""
        return self.judge.run.graph.truth

    @cached_property
    def dtype(self) -> torch.dtype:
        """The floating dtype that the program computes in, as far as it can be told."""
        used = {row.dtype.removeprefix("torch.") for row in self.judged.result.gradients if row.dtype}
        return torch.float64 if used == {"float64"} else torch.float32
