"""What was found of the activations and gradients of each layer: plain data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ActivationHealth:
    absent: str = "no step was looked at"
