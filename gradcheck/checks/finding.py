"""A finding: one cause, at one place, with what is known about it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gradcheck.program.location import Location


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit of the person's source: `replacement` in the place of exactly the span at `location`. `verified`
    only if replay proved it. `diff` holds the whole changed lines, for showing: the old ones after `- `, the
    new ones after `+ `."""

    verified: bool
    diff: str
    replacement: str
    location: Location


@dataclass(slots=True)
class Finding:
    """`message` is one line; `expected` and `found` are the two sides of the mismatch, one line each;
    `notes` and `helps` follow the excerpt, as in rustc, and the fix follows the last of `helps`. Several findings
    may have the very same fix: one cause, several symptoms."""

    rule: str
    name: str
    severity: Severity
    location: Location
    message: str
    label: str = ""  # beside the caret
    expected: str = ""
    found: str = ""
    notes: list[str] = field(default_factory=list)
    helps: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class SuppressedFinding:
    """A finding that a comment of the person suppresses: shown and counted separately."""

    finding: Finding
    comment: Location
