"""A few elements of what a call returned, taken when it is recorded: a replay in the same dtype has to reproduce them."""

from __future__ import annotations

from typing import Any

ELEMENTS = 8  # at most


class Fingerprint:
    """`sample` are every `apart`-th of the `count` elements, in the order of their indices."""

    __slots__ = ("apart", "count", "dtype", "sample")

    def __init__(self, dtype: Any, count: int, apart: int, sample: list[float]) -> None:
        self.dtype = dtype
        self.count = count
        self.apart = apart
        self.sample = sample

    def __repr__(self) -> str:
        return f"<fingerprint of {self.count} {self.dtype}: {self.sample}>"
