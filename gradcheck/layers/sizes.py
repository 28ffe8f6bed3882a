"""Sizes by name. What a constructor is given and what shape an input has are written in them, so that the two stay
tied to each other whatever the sizes are. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Sizes = Mapping[str, int]

# All different, so that shapes fit together only where they belong together; D is even for the sake of heads and
# groups, and windows of 2 and 3 divide the spatial sizes.
BASE: dict[str, int] = {
    "N": 3,  # rows of a batch
    "D": 4,  # features or channels of the input
    "M": 5,  # features of the output
    "T": 6,  # steps of a sequence
    "H": 6,
    "W": 12,
    "K": 2,  # a window
    "V": 7,  # words of a vocabulary
    "G": 2,  # heads or groups
}


@dataclass(frozen=True, slots=True)
class Size:
    """`Size("M", 4)` is four times the size M."""

    name: str
    times: int = 1

    def of(self, sizes: Sizes) -> int:
        return sizes[self.name] * self.times


# A term for a value: a size, a list or a dict of sizes, or the value itself.
Term = Any


def value_of(term: Term, sizes: Sizes) -> Any:
    if isinstance(term, Size):
        return term.of(sizes)
    if isinstance(term, (tuple, list)):
        return type(term)(value_of(item, sizes) for item in term)
    if isinstance(term, dict):
        return {key: value_of(item, sizes) for key, item in term.items()}
    return term


def names_in(term: Term) -> Iterator[str]:
    """The sizes that a term is written in."""
    if isinstance(term, Size):
        yield term.name
    elif isinstance(term, (tuple, list)):
        for item in term:
            yield from names_in(item)
    elif isinstance(term, dict):
        yield from names_in(list(term.values()))
