"""Every number that a rule compares with: where it comes from, and how a person changes it.

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
    """A threshold that does not exist, or a value out of its range; reported like any other unusable option."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


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
    "of the units of a layer, beyond what random weights leave dead",
    "a choice, not a published figure: right networks of narrow relu layers start with an eighth of a layer dead",
    low=0.0,
    high=1.0,
)
DEAD_DISTANCE = Threshold(
    "GC201",
    "distance",
    4.0,
    "of the spread of the arguments of a layer, from their middle to that of a dead unit",
    "one in 30,000 normally distributed numbers is so far out on one side",
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
SATURATED_TANH = Threshold(
    "GC202",
    "tanh-limit",
    0.97,
    "of abs(tanh(z))",
    "Karpathy, Building makemore Part 3, calls a tanh unit saturated above this",
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
    "a choice, not a published figure: most of the layer is flat",
    low=0.0,
    high=1.0,
)
SATURATED_SAMPLES = Threshold(
    "GC202",
    "minimum-samples",
    32,
    "rows of data",
    "a share measured on fewer rows is uncertain by more than 1 / sqrt(32), about 0.18",
    low=1.0,
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
# Batch normalisation
STALE_MEAN = Threshold(
    "GC304",
    "mean-offset",
    0.5,
    "standard deviations of the layer, root mean square over its features",
    "a choice: about three times what the mean of a single batch of 32 is off by, 1/sqrt(32) = 0.18",
    low=0.0,
)
STALE_VARIANCE = Threshold(
    "GC304",
    "variance-factor",
    1.5,
    "by which the variances are off either way: root mean square of the logarithms over the features",
    "a choice: most outputs are a fifth wider or narrower than in training; a single batch of 32 gives 1.3",
    low=1.0,
)
SMALL_BATCH = Threshold(
    "GC305",
    "batch-size",
    4.0,
    "numbers per feature in a batch",
    "a variance of n numbers has a relative standard error of sqrt(2/(n-1)): 82 % at 4, 141 % at 2; Wu and He, Group "
    "Normalization, 2018, table 2, measured what that costs",
    low=2.0,
)
EPS_SHARE = Threshold(
    "GC306",
    "feature-share",
    0.5,
    "of the features that vary at all",
    "a choice: most of the layer is scaled by the epsilon rather than by its variance",
    low=0.0,
    high=1.0,
)
OVERCONFIDENT_FACTOR = Threshold(
    "GC401",
    "factor",
    2.0,
    "times ln(classes)",
    "a choice: the example of Karpathy, Building makemore Part 3, starts at 8 times ln(27), and of the 42 programs "
    "with a cross-entropy under tests/programs the surest (less two standard errors) at 1.6 times",
    low=1.0,
)
SMALLEST_UPDATE = Threshold(
    "GC402",
    "smallest-ratio",
    -4.5,
    "of log10(update / data), the median of the weight matrices",
    "Karpathy, Building makemore Part 3: about -3 is healthy; the lowest of the right training loops in this "
    "repository is at -3.3, and the limit leaves a factor of 17 below it",
    high=0.0,
)
LARGEST_UPDATE = Threshold(
    "GC402",
    "largest-ratio",
    -1.0,
    "of log10(update / data), the median of the weight matrices",
    "a choice: a step of a tenth of the weights is reported only where it raises the loss that it should lower",
)
LOSS_RISE = Threshold(
    "GC402",
    "loss-rise",
    1.1,
    "times the loss of the same minibatch before the step",
    "a choice: a gradient step that is not too large lowers the loss it was computed from",
    low=1.0,
)
SAMPLES_NEEDED = Threshold(
    "GC601",
    "sequences",
    10,
    "sequences, at least",
    "with fewer, a Kolmogorov-Smirnov distance of 0.5 from the training data is not rare (p = 0.01 at 9)",
    low=2,
)
LENGTH_DISTANCE = Threshold(
    "GC601",
    "distance",
    0.35,
    "Kolmogorov-Smirnov distance of the lengths",
    "measured: right samplers of 100 to 10000 steps of training lie at 0.27 or below with 300 sequences",
    low=0.0,
    high=1.0,
)
LENGTH_P_VALUE = Threshold(
    "GC601", "p-value", 1e-3, "of that distance", "a choice: one report in a thousand by chance", 0.0, 1.0
)
SAMPLER_SHIFT = Threshold(
    "GC601",
    "sampler-shift",
    0.1,
    "Kolmogorov-Smirnov distance of the lengths that sampler and trained network imply on the same contexts",
    "measured: up to 0.04 where the sampler is the network that was trained, 0.28 where it is another one",
    low=0.0,
    high=1.0,
)
UNEXPLAINED_DISTANCE = Threshold(
    "GC601",
    "unexplained-distance",
    0.4,
    "Kolmogorov-Smirnov distance, where the sampler does not differ from the network or that is not known",
    "a choice: a network that is half trained is shifted too, and of 20 sequences one in a hundred by 0.36 more",
    low=0.0,
    high=1.0,
)
UNEXPLAINED_P_VALUE = Threshold(
    "GC601",
    "unexplained-p-value",
    1e-5,
    "of that distance",
    "a choice: here its sequences are the only evidence against the sampler",
    low=0.0,
    high=1.0,
)
SAMPLER_VARIATION = Threshold(
    "GC601",
    "sampler-variation",
    0.25,
    "mean total variation distance of the next token, between sampler and trained network",
    "measured: up to 0.08 where the sampler is the network that was trained, for the statistics of its minibatches",
    low=0.0,
    high=1.0,
)
LEARNED = Threshold(
    "GC601",
    "learned",
    0.9,
    "of the loss of guessing by frequency, at most",
    "a choice; used where the sequences are the only evidence against the sampler",
    low=0.0,
    high=1.0,
)
FEW_DISTINCT = Threshold(
    "GC602",
    "distinct-share",
    0.1,
    "different sequences, of all",
    "a choice: two different ones among twenty, where the training data would give more than ten",
    low=0.0,
    high=1.0,
)
DEGENERATE_SHARE = Threshold(
    "GC602",
    "degenerate-share",
    0.5,
    "of the sequences empty, or one token repeated",
    "a choice: the majority, while hardly any (a tenth of it) are in the training data",
    low=0.0,
    high=1.0,
)
TIMES_THE_LONGEST = Threshold(
    "GC603",
    "times-longest",
    10,
    "times as long as the longest training sequence",
    "a network that has learned no more than how often sequences end gets there once in ten million",
    low=1,
)
UNFINISHED_SHARE = Threshold(
    "GC603",
    "unfinished-share",
    0.5,
    "of the sequences cut off at twice the longest training sequence or later",
    "a choice: the majority of them",
    low=0.0,
    high=1.0,
)

# Every constant above, by rule; within a rule in the order of the file.
TABLE: tuple[Threshold, ...] = tuple(
    sorted(
        (known for known in tuple(globals().values()) if isinstance(known, Threshold)),
        key=lambda known: known.rule,
    )
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
            raise KeyError(threshold.key)  # it could not be set, and would be in no table
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
