"""Watches the activations of one step over its data sweep."""

from __future__ import annotations

from gradcheck.health.activations.records import ActivationHealth
from gradcheck.health.context import PassContext
from gradcheck.health.records import Health
from gradcheck.health.sweep import Batch


class ActivationMeasure:
    def __init__(self, context: PassContext) -> None:
        self._context = context

    def batch(self, batch: Batch) -> None:
        pass

    def finish(self, health: Health) -> None:
        health.activations = ActivationHealth("not measured yet")
