"""One judged gradient, and what a wrong one is to those computed from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.passes import Candidate, Version

Faults = frozenset[int]  # indices into Judge.faults


@dataclass(slots=True)
class Judged:
    """One judged gradient. `expected` is what its line should have computed from its own upstream gradients."""

    version: Version
    of: Value | None
    verdict: Verdict
    evidence: str = ""
    problem: Problem = Problem.NONE
    reason: str = ""
    faults: Faults = frozenset()  # of the gradients it was computed from
    expected: torch.Tensor | None = None
    truth: torch.Tensor | None = None
    found: torch.Tensor | None = None
    noise: float = 0.0
    scale: float | None = None
    at_return: bool = False  # right for another value: wrong is that it is returned for this one
    surrogate: bool = False  # of a step function, which has no gradient: on purpose
    rests_on_data: bool = False  # right but for the rounding the data came with
    alternatives: list[Value] = field(default_factory=list)  # other values with the same gradient here
    notes: list[str] = field(default_factory=list)  # for the reader of the report
    meant: Value | None = None  # what its name says it is the gradient of, where that is another value

    @property
    def candidate(self) -> Candidate:
        return self.version.candidate


@dataclass(slots=True)
class Fault:
    """A gradient that is not the true one: what is computed from it is held against it."""

    judged: Judged
    at: Value | None
    gradient: torch.Tensor | None  # None where it cannot stand in the graph (wrong shape, not finite)
