"""Everything the checks may look at: plain data, no tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradcheck.base.thresholds import Thresholds, thresholds_with
from gradcheck.health.records import Health
from gradcheck.judge.verdict import GradientResult, PassResult


@dataclass(slots=True)
class Evidence:
    passes: list[PassResult] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    thresholds: Thresholds = field(default_factory=thresholds_with)
    ignore_comments: int = 0  # `# gradcheck: ignore`; counted when all other rules have spoken

    @property
    def gradients(self) -> list[GradientResult]:
        return [g for p in self.passes for g in p.gradients]
