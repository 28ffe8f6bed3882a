"""Shapley values: each component's fair part of what all repairs gain together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial


def subsets(keys: Sequence[str]) -> list[frozenset[str]]:
    """All of them, the empty one first, by size and then in the order of `keys`."""
    return [frozenset(chosen) for size in range(len(keys) + 1) for chosen in combinations(keys, size)]


def shapley_values(keys: Sequence[str], loss: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """For each key the mean, over all orders of repairing, of the loss it saves when its turn comes. They add up to
    `loss(nothing) - loss(everything)`.

    L. S. Shapley, A value for n-person games, 1953: sum over S of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).
    """
    count = len(keys)
    values = {}
    for key in keys:
        others = [other for other in keys if other != key]
        values[key] = sum(
            factorial(len(chosen))
            * factorial(count - len(chosen) - 1)
            / factorial(count)
            * (loss(chosen) - loss(chosen | {key}))
            for chosen in subsets(others)
        )
    return values
