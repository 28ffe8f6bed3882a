"""Every number that a rule compares with: where it comes from, and how a person changes it.

They are in `thresholds.toml`, under the keys that configuration uses. Imports no torch and nothing of gradcheck, so that
any stage may read it.
"""

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Thresholds = dict[str, float]  # the numbers in force, by key


@dataclass(frozen=True, slots=True)
class Threshold:
    """`source` says in words why it is this number and no other; `low` and `high` are the ends, both allowed,
    of what makes sense at all."""

    rule: str  # "GC202"
    name: str  # "tanh-limit"
    default: float
    unit: str
    source: str
    low: float | None = None
    high: float | None = None

    @property
    def key(self) -> str:
        """How configuration names it: `GC202.tanh-limit`."""
        return f"{self.rule}.{self.name}"

    @property
    def range(self) -> str:
        """The sensible values in words, empty if all are."""
        if self.low is not None and self.high is not None:
            return f"from {self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"from {self.low:g} up"
        return "" if self.high is None else f"up to {self.high:g}"


class ThresholdError(ValueError):
    """A threshold that does not exist, or a value out of its range; reported like any other unusable option."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


_WRITTEN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
TABLE = tuple(Threshold(rule, name, **row) for rule, rows in _WRITTEN.items() for name, row in rows.items())


def thresholds_with(overrides: Mapping[str, float] | None = None) -> Thresholds:
    """All of them, with the `overrides` by key. Raises ThresholdError for a key that no threshold has, and for a number
    out of its range."""
    changed = {find_threshold(key).key: checked(key, number) for key, number in (overrides or {}).items()}
    return {threshold.key: float(threshold.default) for threshold in TABLE} | changed


def find_threshold(key: str) -> Threshold:
    """The threshold with this key; raises ThresholdError, with the likeliest ones, if there is none."""
    known = {threshold.key.casefold(): threshold for threshold in TABLE}
    if found := known.get(key.casefold()):
        return found
    close = [known[k].key for k in difflib.get_close_matches(key.casefold(), known, 1)]
    # A name without its rule is not a key, but it shows which one is meant.
    close = close or [threshold.key for threshold in TABLE if threshold.name == key.casefold()]
    meant = " or ".join(f"`{k}`" for k in close)
    raise ThresholdError(
        f"there is no threshold `{key}`",
        f"did you mean {meant}?" if meant else "`gradcheck rules --thresholds` lists them",
    )


def checked(key: str, number: object) -> float:
    """`number` as a value of the threshold `key`, which must exist; raises ThresholdError."""
    threshold = find_threshold(key)
    default = f"the default is {threshold.default:g}"
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        raise ThresholdError(f"`{threshold.key}` must be a number, not {number!r}", default)
    below = threshold.low is not None and number < threshold.low
    above = threshold.high is not None and number > threshold.high
    if below or above:
        raise ThresholdError(f"`{threshold.key}` must be {threshold.range}, not {number:g}", default)
    return float(number)
