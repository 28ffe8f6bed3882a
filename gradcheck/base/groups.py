"""What belongs together: by a key, or in one sentence."""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """The values of each key, in their order; the keys in the order in which they come first."""
    found: dict[K, list[V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def joined(parts: Sequence[str], most: int) -> str:
    """`a, b and c`; with more than `most`, `a, b and 7 more`."""
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} more"]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
