"""What became of the gradients of a step, as plain data: which one the chain skips, and how each parameter moved.

This file imports no torch: the report is built and read where torch need not be installed.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from gradcheck.program.location import Location


@dataclass(frozen=True, slots=True)
class Bypass:
    """A gradient that should have been computed from the skipped one and reads `reads` in its place."""

    name: str
    of: str | None
    location: Location
    reads: str
    reads_of: str | None


@dataclass(frozen=True, slots=True)
class SkippedGradient:
    """A gradient that is computed and never used, while those nearer to the input are computed past it."""

    name: str
    of: str | None
    location: Location
    bypassed_by: tuple[Bypass, ...]


class Movement(StrEnum):
    """How a parameter that has a manual gradient moved in the step."""

    DESCENDS = "descends"  # along its own gradient, downhill
    ASCENDS = "ascends"  # along its own gradient, uphill
    ANOTHERS = "anothers-gradient"  # along the gradient of another parameter
    STILL = "still"  # not at all
    WITHOUT = "without-its-gradient"  # but no gradient has a part in it
    LOST = "lost"  # the new value is computed, and only a loop variable holds it
    REPLACED = "replaced"  # its name is given to its step alone
    TURNED_ROUND = "turned-round"  # its name is given to a value that it enters with a minus sign
    UNCHECKED = "unchecked"  # what moved it could not be followed


@dataclass(frozen=True, slots=True)
class ParameterUpdate:
    """`location` is where it is moved, or None if it is not; `moved_by` names the gradients its step was computed
    from, `moved_by_of` what they are the gradients of. `curved`: the loss is not linear in the parameter, so
    that going uphill has no end that anybody could want. `unseen`: it moves, not by autograd, and no gradient of it was
    found: what moves it was not checked."""

    parameter: str
    movement: Movement
    location: Location | None
    gradient: str | None  # its own, if it has a manual one
    gradient_location: Location | None
    moved_by: tuple[str, ...] = ()
    moved_by_of: tuple[str, ...] = ()
    curved: bool = False
    reason: str = ""
    unseen: bool = False


@dataclass(slots=True)
class StepFlow:
    """`minimised`: the loss is of a form that can only be meant to fall (a cross-entropy, a mean of squares)."""

    skipped: list[SkippedGradient] = field(default_factory=list)
    updates: list[ParameterUpdate] = field(default_factory=list)
    minimised: bool = False
