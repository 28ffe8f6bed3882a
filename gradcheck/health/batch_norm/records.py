"""What was found of each batch normalisation: plain data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class BatchNormHealth:
    absent: str = "no step was looked at"
