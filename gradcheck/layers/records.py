"""What a layer check found, as plain data. Imports no torch."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import gradcheck
from gradcheck.base.errors import GradientError
from gradcheck.program.location import Location
from gradcheck.report.model import Report

# Cases by name; those that a shape does not tell.
SEVERAL = "several rows"
AS_CONSTRUCTED = "as constructed"
LARGE = "large values"
REPEATED = "repeated indices"
EVALUATION = "eval mode"
STATES = (SEVERAL, AS_CONSTRUCTED, LARGE, REPEATED, EVALUATION)  # those that a shape does not tell


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
class LayerReport:
    """What `gradcheck.check_layer` returns. A case that did not run has passed nothing."""

    target: str
    seed: int
    cases: list[CaseResult] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    never_judged: dict[str, str] = field(default_factory=dict)  # gradient -> why
    version: str = gradcheck.__version__

    @property
    def summary(self) -> dict[str, int]:
        counts = Counter(case.status for case in self.cases)
        return {status.value: counts[status] for status in Status}

    @property
    def exit_status(self) -> int:
        """1 if a gradient is wrong, or was judged in no case; 2 if no case could be judged at all."""
        if self.failures:
            return 1
        if not any(case.status is Status.PASSED or case.gradients for case in self.cases):
            return 2
        return 1 if self.never_judged else 0

    def raise_for_errors(self) -> None:
        """Raises GradientError unless every gradient was judged, and is right."""
        __tracebackhide__ = True
        if self.exit_status:
            from gradcheck.layers.show import text

            raise GradientError(text(self))

    def __str__(self) -> str:
        from gradcheck.layers.show import text

        return text(self)

    def to_markdown(self) -> str:
        from gradcheck.layers.show import markdown

        return markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the JSON of `gradcheck layer --format json`."""
        return {
            "schema": 1,
            "version": self.version,
            "target": self.target,
            "seed": self.seed,
            "exit_status": self.exit_status,
            "summary": self.summary,
            "cases": [asdict(case) for case in self.cases],
            "failures": [
                {
                    "smallest": asdict(each.smallest),
                    "cases": each.cases,
                    "raised": asdict(each.raised) if each.raised else None,
                    "notes": each.notes,
                    "report": each.report.to_dict() if each.report else None,
                }
                for each in self.failures
            ],
            "never_judged": self.never_judged,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LayerReport:
        return cls(
            data["target"],
            data["seed"],
            [CaseResult(**case | {"status": Status(case["status"])}) for case in data["cases"]],
            [_failure(each) for each in data["failures"]],
            data["never_judged"],
            data["version"],
        )


def _failure(data: dict[str, Any]) -> Failure:
    raised = data["raised"]
    if raised is not None:
        place = raised["location"]
        raised = Raised(**raised | {"location": Location(**place) if place else None})
    report = Report.from_dict(data["report"]) if data["report"] else None
    return Failure(Smallest(**data["smallest"]), data["cases"], report, raised, data["notes"])


def command(target: str, smallest: list[str], options: list[str]) -> str:
    """`gradcheck layer f.py::BatchNorm --shape 2,1 --seed 0`."""
    shapes = [part for shape in smallest for part in ("--shape", shape)]
    return " ".join(["gradcheck layer", *(shlex.quote(part) for part in [target, *shapes, *options])])
