"""Measures the initial loss, the parameters and their updates."""

from __future__ import annotations

from gradcheck.health.context import ProgramContext
from gradcheck.health.records import Health
from gradcheck.health.updates.records import UpdateHealth


def measure_updates(program: ProgramContext, health: Health) -> None:
    health.updates = UpdateHealth("not measured yet")
