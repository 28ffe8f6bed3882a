"""Every number that a rule compares with: where it comes from, and how a person sets another one.

Imports no torch and nothing of gradcheck, so that any stage may read it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


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
    """A threshold that cannot be set so; told like any other unusable option."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


SATURATED_TANH = Threshold(
    "GC202",
    "tanh-limit",
    0.97,
    "of abs(tanh(z))",
    "Karpathy, Building makemore Part 3, calls a tanh unit saturated above it",
    low=0.0,
    high=1.0,
)
SATURATED_PRE_ACTIVATION = Threshold(
    "GC202",
    "pre-activation-limit",
    9.5,
    "of abs(z)",
    "tanh'(9.5) = 2.2e-8 is below the float32 epsilon of 1.2e-7, and 1 - tanh(z)**2 is exactly 0 there",
    low=0.0,
)
SATURATED_SHARE = Threshold(
    "GC202",
    "saturated-share",
    0.5,
    "of the outputs of a layer",
    "a choice, not a published figure: more of the layer is flat than is not",
    low=0.0,
    high=1.0,
)

SATURATED_SAMPLES = Threshold(
    "GC202",
    "minimum-samples",
    32,
    "rows of data",
    "a share told from fewer rows is uncertain by more than 1 / sqrt(32), about 0.18",
    low=1.0,
)
DEAD_SAMPLES = Threshold(
    "GC201",
    "minimum-samples",
    500,
    "rows of data",
    "a unit that is on for 1 % of the rows is off on all of 500 with probability 0.99**500, below 0.7 %",
    low=1.0,
)
DEAD_SHARE = Threshold(
    "GC201",
    "dead-share",
    0.2,
    "of the units of a layer, beyond what random weights leave dead by themselves",
    "a choice, not a published figure: right networks of narrow relu layers start with an eighth of a layer dead",
    low=0.0,
    high=1.0,
)
DEAD_DISTANCE = Threshold(
    "GC201",
    "distance",
    4.0,
    "of the spread of the arguments of a layer, from their middle to that of a dead unit",
    "of normal numbers one in 30,000 lies so far out on one side",
    low=0.0,
)
DEAD_SLOPE = Threshold(
    "GC201",
    "leaky-slope",
    0.05,
    "of the slope of a leaky relu below zero",
    "a choice, not a published figure: with a steeper one a unit that stays below zero still learns",
    low=0.0,
    high=1.0,
)
VANISHING_FACTOR = Threshold(
    "GC203",
    "factor-per-layer",
    0.5,
    "of the gradient's norm from one layer to the one before",
    "a choice, not a published figure: weights at the scale of Kaiming or Xavier stay within 0.7 to 1.3",
    low=0.0,
    high=1.0,
)
VANISHING_TOTAL = Threshold(
    "GC203",
    "total",
    1e-3,
    "of the gradient's norm at the first layer over that at the last",
    "a choice: a layer whose gradient is a thousandth of another's hardly moves at a learning rate that suits that one",
    low=0.0,
    high=1.0,
)
EXPLODING_FACTOR = Threshold(
    "GC204",
    "factor-per-layer",
    2.0,
    "of the gradient's norm from one layer to the one before",
    "a choice, the reciprocal of GC203.factor-per-layer",
    low=1.0,
)
EXPLODING_TOTAL = Threshold(
    "GC204",
    "total",
    1e3,
    "of the gradient's norm at the first layer over that at the last",
    "a choice, the reciprocal of GC203.total",
    low=1.0,
)

TABLE: tuple[Threshold, ...] = (
    DEAD_SAMPLES,
    DEAD_SHARE,
    DEAD_DISTANCE,
    DEAD_SLOPE,
    SATURATED_TANH,
    SATURATED_PRE_ACTIVATION,
    SATURATED_SHARE,
    SATURATED_SAMPLES,
    VANISHING_FACTOR,
    VANISHING_TOTAL,
    EXPLODING_FACTOR,
    EXPLODING_TOTAL,
)


class Thresholds(Mapping[Threshold, float]):
    """`thresholds[SATURATED_TANH]` is the number in force: the one set by its key, or the default."""

    __slots__ = ("_numbers",)

    def __init__(self, overrides: Mapping[str, float] | None = None) -> None:
        """Raises ThresholdError for a key that no threshold has, and for a number out of its range."""
        self._numbers = {
            find_threshold(key).key: checked(key, number) for key, number in (overrides or {}).items()
        }

    def __getitem__(self, threshold: Threshold) -> float:
        if threshold not in TABLE:
            raise KeyError(threshold.key)  # it could not be set, and would stand in no table
        return self._numbers.get(threshold.key, threshold.default)

    def __iter__(self) -> Iterator[Threshold]:
        return iter(TABLE)

    def __len__(self) -> int:
        return len(TABLE)

    def __repr__(self) -> str:
        return f"Thresholds({self._numbers!r})"


def find_threshold(key: str) -> Threshold:
    """The threshold with this key; raises ThresholdError, with the likeliest ones, if there is none."""
    found = next((threshold for threshold in TABLE if threshold.key.casefold() == key.casefold()), None)
    if found is not None:
        return found
    keys = {threshold.key.casefold(): threshold.key for threshold in TABLE}
    close = [keys[k] for k in difflib.get_close_matches(key.casefold(), keys, 1)]
    # A name without its rule is no key, but tells which one is meant.
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
