"""Watches the batch normalisations of one step over its data sweep."""

from __future__ import annotations

from gradcheck.health.batch_norm.records import BatchNormHealth
from gradcheck.health.context import PassContext
from gradcheck.health.records import Health
from gradcheck.health.sweep import Batch


class BatchNormMeasure:
    def __init__(self, context: PassContext) -> None:
        self._context = context

    def batch(self, batch: Batch) -> None:
        pass

    def finish(self, health: Health) -> None:
        health.batch_norm = BatchNormHealth("not measured yet")
