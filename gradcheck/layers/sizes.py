"""Sizes by name. What a constructor is given and what shape an input has are written in them, so that the two stay
tied to each other whatever the sizes are. Imports no torch."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
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


# For a layer that loops over rows, channels and places one by one.
SMALL = {"N": 2, "M": 3, "T": 4, "W": 6}


@dataclass(frozen=True, slots=True)
class Size:
    """`Size("M", 4)` is four times the size M; with `more` it is the product of several, and `plus` is added."""

    name: str
    times: int = 1
    more: tuple[str, ...] = ()
    plus: tuple[str, ...] = ()

    def of(self, sizes: Sizes) -> int:
        return self.times * prod(sizes[name] for name in (self.name, *self.more)) + sum(
            map(sizes.__getitem__, self.plus)
        )


class FunctionTerm:
    """A function of a tensor, or a network."""

    def __repr__(self) -> str:
        return "a function"


# A term for a value: a size, a tensor to draw, a list or a dict of terms, or the value itself.
Term = Any


@dataclass(frozen=True, slots=True)
class TensorTerm:
    """A tensor to draw. `kind`: "float", "unit" (between 0 and 1), "bool", or "int", below `high`."""

    dims: tuple[Term, ...]
    kind: str = "float"
    high: Term = 0

    def __repr__(self) -> str:
        """As it is written where it is an argument: `--kwargs` reads it too."""
        return f"randn({', '.join(map(str, self.dims))})"


def value_of(term: Term, sizes: Sizes) -> Any:
    if isinstance(term, Size):
        return term.of(sizes)
    if isinstance(term, (tuple, list)):
        return type(term)(value_of(item, sizes) for item in term)
    if isinstance(term, dict):
        return {key: value_of(item, sizes) for key, item in term.items()}
    if isinstance(term, TensorTerm):
        return TensorTerm(value_of(term.dims, sizes), term.kind, value_of(term.high, sizes))
    return term


def names_in(term: Term) -> set[str]:
    """The sizes that a term is written in."""
    asked: dict[str, int] = defaultdict(lambda: 1)
    value_of(term, asked)
    return set(asked)
