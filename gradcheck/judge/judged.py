"""One judged gradient, what a wrong one is to those computed from it, and what a hypothesis says."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from gradcheck.fronts.tape import Binding, Value
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.compare import compared
from gradcheck.replay.passes import Candidate, Version
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import LARGE

Faults = frozenset[int]  # indices into Judge.faults
_TO_ROUNDING = 1e-12  # relative, in float64


@dataclass(slots=True, eq=False)
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
    rounded_data: bool = False  # right but for the rounding the data came with
    alternatives: list[Value] = field(default_factory=list)  # other values with the same gradient here
    written_at: Version | None = None  # the earlier stage since which what is wrong in it is as it is
    handed_on_at: Binding | None = None  # the line that takes it for the gradient of this value
    notes: list[str] = field(default_factory=list)  # for the reader of the report
    meant: Value | None = None  # what its name says it is the gradient of, where that is another value
    run_error: float | None = None  # of the number as it was run, where it is far off
    careful_error: float | None = None  # of autograd's gradient in the program's own types
    hidden_error: float | None = None  # local error at the worst probe point, if only those show it
    # The distance from the true one and both norms, as they were before that stood for both.
    apart: tuple[float, float, float] | None = None

    @property
    def candidate(self) -> Candidate:
        return self.version.candidate


def hold_once(judged: Iterable[Judged], run: PassRun) -> None:
    """A large gradient that is the true one to rounding is not kept beside it: that stands for both from here on."""
    for each in judged:
        found, truth = each.found, each.truth
        right = each.verdict is Verdict.CORRECT and each.expected is truth
        if right and found is not None and truth is not None and found.numel() == truth.numel() > LARGE:
            (apart,) = compared([(found, truth)])
            if (found.shape, found.dtype) == (truth.shape, truth.dtype) and apart[0] <= _TO_ROUNDING * max(
                apart[1:]
            ):
                each.apart = apart
                each.found = run.captured[id(each.version)] = truth


@dataclass(slots=True, eq=False)
class Fault:
    """A gradient that is not the true one. What is computed from it is compared with what follows from it."""

    judged: Judged
    gradient: torch.Tensor | None  # None where the graph cannot take it (wrong shape, not finite)

    @property
    def at(self) -> Value | None:
        """The value whose gradient it replaces."""
        return self.judged.of


def replaced_by(faults: Iterable[Fault], run: PassRun | None = None) -> dict[Value, torch.Tensor]:
    """The wrong gradients, by the values whose gradients they replace: as they are in another `run`, if one is given."""
    found: dict[Value, torch.Tensor] = {}
    for fault in faults:
        at, gradient = fault.at, fault.gradient
        if at is None or gradient is None:
            continue
        there = gradient if run is None else run.captured.get(id(fault.judged.version))
        if there is not None and there.numel() == gradient.numel():
            found[at] = there
    return found


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a hypothesis says about a case: the judged gradient (None: it is no gradient to be judged), and the fault
    that what is computed from it inherits."""

    judged: Judged | None = None
    fault: Fault | None = None


NOT_JUDGED = Ruling()
