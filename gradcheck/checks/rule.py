"""What a rule is: its page of text, its thresholds and its check, all in one file of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradcheck.checks.finding import Finding, Severity

if TYPE_CHECKING:
    from gradcheck.replay.verdict import Evidence


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number a check compares with; `source` says where it comes from."""

    name: str
    default: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Rule:
    code: str  # "GC101"
    name: str  # the bad pattern: "wrong-gradient"
    severity: Severity
    summary: str  # one line
    what_it_does: str
    why_is_this_bad: str
    example: str  # code that triggers it
    use_instead: str  # the repaired code
    how_it_is_measured: str
    references: tuple[str, ...]
    check: Callable[[Evidence], Iterable[Finding]]
    thresholds: tuple[Threshold, ...] = field(default=())
