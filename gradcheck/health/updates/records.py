"""What was found of the initial loss, the parameters and their updates: plain data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class UpdateHealth:
    absent: str = "no step was looked at"
