"""Numbers about the lengths of sequences, and about how they differ. Knows nothing of tensors or programs."""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from gradcheck.health.samples.records import Difference

_IMPLIED = 10_000  # sequences that a distribution given by its probabilities stands for in a test
_LONGEST = 400  # tokens up to which an implied distribution is followed


def counts_of(lengths: Sequence[int]) -> list[int]:
    return [int(count) for count in np.bincount(np.asarray(lengths, dtype=int))]


def difference(samples: Sequence[int], data: Sequence[int]) -> Difference:
    """Of two lists of lengths. The p-value is that of the two-sample Kolmogorov-Smirnov test for continuous data. With
    ties, as lengths have them, it is too large, so it never makes more of a difference than there is."""
    from scipy import stats  # takes most of a second

    tested = stats.ks_2samp(samples, data)
    return Difference(
        float(tested.statistic), float(stats.wasserstein_distance(samples, data)), float(tested.pvalue)
    )


def implied_lengths(ends: Sequence[float]) -> list[float]:
    """The probability of every length, for sequences that end at position i with probability `ends[i]` once they are
    there, and from the last position on with that of the last."""
    found: list[float] = []
    going_on = 1.0
    for position in range(_LONGEST):
        end = ends[min(position, len(ends) - 1)]
        found.append(going_on * end)
        going_on *= 1 - end
        if going_on < 1e-9:
            break
    found[-1] += going_on
    return found


def drawn_lengths(probabilities: Sequence[float]) -> list[int]:
    """Many lengths that are distributed like that: the quantiles of the distribution."""
    cumulative = np.cumsum(probabilities)
    at = (np.arange(_IMPLIED) + 0.5) / _IMPLIED * cumulative[-1]
    return [int(length) for length in np.searchsorted(cumulative, at)]


def distance(first: Sequence[float], second: Sequence[float]) -> float:
    """Kolmogorov-Smirnov, of two distributions over 0, 1, 2, ..."""
    size = max(len(first), len(second))
    padded = [np.pad(np.asarray(p, dtype=float), (0, size - len(p))) for p in (first, second)]
    return float(np.abs(np.cumsum(padded[0]) - np.cumsum(padded[1])).max())


def mean_length(probabilities: Sequence[float]) -> float:
    return float(sum(i * p for i, p in enumerate(probabilities)))


def end_shares(lengths: Sequence[int], unfinished: Sequence[int] = ()) -> list[tuple[int, float]]:
    """By position: how many sequences get there, and which share of them ends there. `unfinished` ones get as far as
    their length and do not end."""
    ended, cut = Counter(lengths), Counter(unfinished)
    there = len(lengths) + len(unfinished)
    found = []
    position = 0
    while there > 0:
        there -= cut[position]  # whether they would have ended here is not known
        if there <= 0:
            break
        found.append((there, ended[position] / there))
        there -= ended[position]
        position += 1
    return found


def expected_distinct(things: Sequence[Hashable], number: int) -> float:
    """How many different ones there are on average among `number` of `things`, drawn with replacement."""
    total = len(things)
    return sum(1 - (1 - n / total) ** number for n in Counter(things).values()) if total else 0.0


def is_repetition(tokens: Sequence[Hashable]) -> bool:
    """One token three times or more, and nothing else."""
    return len(tokens) >= 3 and len(set(tokens)) == 1
