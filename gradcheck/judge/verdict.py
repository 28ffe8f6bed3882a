"""The outcome for one manual gradient: verdict, errors, and evidence.

This file imports no torch: the report is built and read where torch need not be installed.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from gradcheck.judge.step.records import StepFlow
from gradcheck.program.location import Location


class Verdict(StrEnum):
    """What the two errors say together; see docs/verdicts.md."""

    CORRECT = "correct"
    INTRODUCED = "introduced"
    INHERITED = "inherited"
    COMPENSATED = "compensated"
    UNOBSERVABLE = "unobservable"
    UNCHECKED = "unchecked"


class Problem(StrEnum):
    """What is out of order beyond, or instead of, a wrong number."""

    NONE = ""
    WRONG_VALUE = "wrong-value"
    HIDDEN = "hidden-by-initialisation"
    UPSTREAM = "one-upstream"  # right for the upstream gradient of this loss, wrong for another one
    SHAPE = "wrong-shape"  # the shape cannot be the forward value's, or its values are broadcast
    SHAPE_NOTE = "shape-differs"  # right numbers in another shape (a missing keepdim)
    MISNAMED = "misnamed"  # equals the true gradient of another value
    NON_FINITE = "non-finite"
    UNFINISHED = "unfinished"  # None where a gradient should be
    UNPAIRED = "unpaired"  # no forward value found for it
    IMPRECISE = "imprecise"  # a right formula, and a number that is far off
    HARMLESS = "harmless"  # not what its name suggests, and no output is wrong because of it
    UNREACHED = "unreached"  # no oracle reaches it


@dataclass(frozen=True, slots=True)
class WorstElement:
    """The element that differs most from what this line should have computed."""

    index: tuple[int, ...]
    expected: float
    found: float


@dataclass(slots=True)
class GradientResult:
    """One row of the report: a manual gradient, what it is the gradient of, and how it fared.

    `total_error` compares with the true gradient dL/dx, `local_error` with the VJP of the person's own
    upstream gradients; both are relative, ||g - expected|| / max(||expected||, ||g||), in float64, or None
    where there is nothing to compare with. `lines` holds every place where the gradient was built, in order
    of execution; `location` is the one that decides (the last that computed it). `hidden_error` is the largest
    local error at a probe point (parameters jittered), None where no probe ran.
    """

    name: str
    of: str | None
    location: Location
    verdict: Verdict
    total_error: float | None = None
    local_error: float | None = None
    hidden_error: float | None = None
    run_error: float | None = None  # of the number as the program computed it, where that is far off
    careful_error: float | None = None  # of autograd's gradient in the same types
    noise: float | None = None  # the relative rounding noise measured for this value
    cosine: float | None = None  # between the gradient and the true one
    worst: WorstElement | None = None
    expected_norm: float | None = None
    found_norm: float | None = None
    mismatched: int | None = None  # elements that differ by more than the tolerance
    elements: int | None = None
    shape: tuple[int, ...] | None = None
    of_shape: tuple[int, ...] | None = None
    dtype: str = ""
    problem: Problem = Problem.NONE
    reason: str = ""  # why it is unchecked, or what the problem is, in words
    evidence: str = ""  # for the pairing
    lines: list[Location] = field(default_factory=list)
    of_location: Location | None = None
    upstream: list[str] = field(default_factory=list)  # names of the gradients it was judged against
    inherits_from: list[str] = field(default_factory=list)  # the introduced gradients it inherits from
    occurrences: int = 1  # how many times this line computed it (time steps, layers of a loop)
    pass_index: int = 0
    scale_note: str = ""  # "kept as 32 x dL/dx" where a constant factor is a convention
    notes: list[str] = field(default_factory=list)  # its line reads a gradient at the wrong time


@dataclass(slots=True)
class PassResult:
    """One backward pass: a loss, and the gradients judged against it, in program order."""

    index: int
    loss: str  # its name; of one that the program never computes, what it is
    loss_value: float | None
    loss_location: Location
    gradients: list[GradientResult] = field(default_factory=list)
    iteration: int | None = None  # of the training loop it was recorded in
    cell: int | None = None
    probes: int = 0  # probe points that ran
    flow: StepFlow = field(default_factory=StepFlow)  # where its gradients went
    notes: list[str] = field(default_factory=list)
    # The program computes no loss: which it is was seen from the first line of backward.
    inferred: bool = False
    layer: str = ""  # whose backward pass it is, run on its own, where it is that of a layer
