"""How the gradient changes from layer to layer, towards the input."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import linear_regression

from gradcheck.health.activations.records import ActivationRecord, GradientTrend

LEAST_LAYERS = 3


def trend_of(
    records: Sequence[ActivationRecord], after: Sequence[frozenset[int]]
) -> tuple[GradientTrend | None, str]:
    """`after[i]` are the layers that `records[i]` is computed from. The trend, or why there is none."""
    chain = _longest_way(records, after)
    kinds = Counter(records[i].function for i in chain)
    if kinds:
        usual = kinds.most_common(1)[0][0]
        chain = [i for i in chain if records[i].function == usual]
    if len(chain) < LEAST_LAYERS:
        return None, f"a trend needs {LEAST_LAYERS} hidden layers of one kind one after the other"
    norms = [records[i].gradient_norm for i in chain]
    known = [norm for norm in norms if norm is not None and math.isfinite(norm)]
    if len(known) < len(norms):
        return None, "the gradient of a layer is not known or not finite"
    if not all(known):
        return None, "the gradient of a layer is exactly zero, so that it has no trend"
    # The slope of a straight line through the logarithms: one odd layer does not decide.
    logs = [math.log(norm) for norm in reversed(known)]
    slope = linear_regression(range(len(logs)), logs).slope
    first = records[chain[0]]
    return GradientTrend(
        first.pass_index,
        first.iteration,
        first.function,
        [records[i].layer for i in chain],
        known,
        math.exp(slope),
        known[0] / known[-1],
    ), ""


def _longest_way(records: Sequence[ActivationRecord], after: Sequence[frozenset[int]]) -> list[int]:
    """The most hidden layers of which each is computed from the one before."""
    best: list[list[int]] = []
    for number, record in enumerate(records):
        before = max((best[i] for i in after[number] if i < number), key=len, default=[])
        best.append([*before, number] if record.hidden else [])
    return max(best, key=len, default=[])
