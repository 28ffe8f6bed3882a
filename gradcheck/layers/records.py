"""What a layer check found, as plain data. Imports no torch."""

import shlex
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from gradcheck.base.version import __version__
from gradcheck.judge.verdict import Verdict
from gradcheck.program.location import Location
from gradcheck.program.written import Written
from gradcheck.report.model import Report

# Names of the cases that do not follow from a shape.
SEVERAL = "several rows"
AS_CONSTRUCTED = "as constructed"
LARGE = "large values"
REPEATED = "repeated indices"
EVALUATION = "eval mode"
STATES = (SEVERAL, AS_CONSTRUCTED, LARGE, REPEATED, EVALUATION)


class Status(StrEnum):
    PASSED = "passed"  # every gradient was judged, and none is wrong
    FAILED = "failed"
    BACKWARD_RAISED = "backward raised"  # where forward runs
    NOT_JUDGED = "not judged"  # it ran, but a gradient could not be checked
    UNSUPPORTED = "unsupported"  # `backward` is for inputs of other ranks
    NOT_RUN = "not run"  # forward, or the constructor, raised
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Raised:
    type: str
    message: str
    location: Location | None
    line: str

    @property
    def text(self) -> str:
        return f"{self.type}: {self.message}".rstrip(": ")


@dataclass(slots=True)
class CaseResult:
    name: str
    rank: int  # of the first input
    shapes: list[str]
    status: Status
    reason: str = ""
    gradients: dict[str, str] = field(default_factory=dict)  # name -> verdict


@dataclass(slots=True)
class Smallest:
    """The smallest input that still shows a fault, and how to see it again."""

    shapes: list[str]
    arguments: str  # as they are written in a call: `3, bias=True`
    command: str
    seed: int
    case: str
    trials: int  # that were run to find it


@dataclass(slots=True)
class Failure:
    """One fault. `report` holds its finding alone, with its excerpt; None if `backward` raised."""

    smallest: Smallest
    cases: list[str]  # where it shows
    report: Report | None = None
    raised: Raised | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class LayerResults:
    """What a layer check found. A case that did not run has passed nothing."""

    target: str
    seed: int
    cases: list[CaseResult] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    never_judged: dict[str, str] = field(default_factory=dict)  # gradient -> why
    version: str = __version__
    written: list[Written] = field(default_factory=list)  # by the layer or its module, and not kept

    @property
    def summary(self) -> dict[str, int]:
        counts = Counter(case.status for case in self.cases)
        return {status.value: counts[status] for status in Status}

    @property
    def exit_status(self) -> int:
        """1 if a gradient is wrong, or was judged in no case; 2 if no case could be judged at all."""
        if self.failures:
            return 1
        seen = {verdict for case in self.cases for verdict in case.gradients.values()}
        if not seen - {Verdict.UNOBSERVABLE.value} and not any(c.status is Status.PASSED for c in self.cases):
            return 2
        return 1 if self.never_judged else 0


def command(target: str, smallest: list[str], options: list[str]) -> str:
    """`gradcheck layer f.py::BatchNorm --shape 2,1 --seed 0`."""
    shapes = [part for shape in smallest for part in ("--shape", shape)]
    return " ".join(["gradcheck layer", *(shlex.quote(part) for part in [target, *shapes, *options])])
