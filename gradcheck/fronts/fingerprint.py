"""A few elements of what a call returned, taken when it is recorded: a replay in the same dtype has to reproduce them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ELEMENTS = 8  # at most


@dataclass(slots=True, eq=False)
class Fingerprint:
    """`sample` are every `apart`-th of the `count` elements, in the order of their indices."""

    dtype: Any
    count: int
    apart: int
    sample: list[float]
