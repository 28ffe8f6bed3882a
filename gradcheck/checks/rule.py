"""What a rule is, what it is given, and what it says: its page of text, its thresholds and its check are all in one file of
this package."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from gradcheck.base.thresholds import TABLE, Threshold, Thresholds, thresholds_with
from gradcheck.checks.finding import Finding, Severity
from gradcheck.health.records import Health
from gradcheck.judge.verdict import GradientResult, PassResult
from gradcheck.program.location import Location


@dataclass(slots=True)
class Evidence:
    """Everything the checks may look at: plain data, no tensors."""

    passes: list[PassResult] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    thresholds: Thresholds = field(default_factory=thresholds_with)
    ignore_comments: int = 0  # `# gradcheck: ignore`; counted when all other rules have spoken

    @property
    def gradients(self) -> list[GradientResult]:
        return [g for p in self.passes for g in p.gradients]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a check had to look at, in words ("3 layers, 600 units, 64 batches"); or nothing, and why."""

    what: str = ""
    why_not: str = ""


def gradients_looked_at(evidence: Evidence) -> Looked:
    count = len(evidence.gradients)
    return Looked(f"{count} gradient{'s' * (count != 1)}") if count else Looked(why_not="no manual gradient")


@dataclass(frozen=True, slots=True)
class Rule:
    """Its file says the rest: `module` is named `gc101_wrong_gradient`, and `page`, its docstring, begins with
    `GC101 wrong-gradient: what it finds.`; the sections begin with `## `. With `python -OO` there is no page."""

    module: str
    page: str | None
    severity: Severity
    check: Callable[[Evidence], Iterable[Finding]]
    looked_at: Callable[[Evidence], Looked] = gradients_looked_at
    is_diagnosed: bool = False  # the stage `diagnosis` looks for the cause of its findings
    outside_gradients: bool = False  # a fault of training in no gradient: true gradients do not repair it

    @property
    def code(self) -> str:
        return self._file.partition("_")[0].upper()

    @property
    def name(self) -> str:
        """The bad pattern: `wrong-gradient`."""
        return self._file.partition("_")[2].replace("_", "-")

    @property
    def _file(self) -> str:
        return self.module.rpartition(".")[2]

    @property
    def summary(self) -> str:
        """One line."""
        return (self.page or "").partition("\n")[0].partition(": ")[2].rstrip(".")

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        return tuple(threshold for threshold in TABLE if threshold.rule == self.code)

    @property
    def sections(self) -> dict[str, str]:
        """The text of the rule's page, by heading."""
        parts = (part.partition("\n") for part in f"\n{self.page or ''}".split("\n## ")[1:])
        return {heading: text.strip("\n") for heading, _, text in parts}

    def finding(
        self, location: Location, message: str, *, severity: Severity | None = None, **details: Any
    ) -> Finding:
        """A finding of this rule; `details` are further fields of Finding."""
        return Finding(self.code, self.name, severity or self.severity, location, message, **details)
