"""What was found of the code that evaluates and samples: plain data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class EvaluationHealth:
    absent: str = "no step was looked at"
