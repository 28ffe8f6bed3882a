"""What was found of the generated sequences: plain data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SampleHealth:
    absent: str = "no step was looked at"
