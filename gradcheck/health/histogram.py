"""Counts over a range: a figure's worth of numbers. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Histogram:
    """`counts[i]` numbers lie from `edges[i]` to `edges[i + 1]`; what lies outside is counted in the outermost."""

    edges: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
