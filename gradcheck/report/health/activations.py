"""The tables of gradcheck.health.activations."""

from __future__ import annotations

from gradcheck.health.activations.records import ActivationHealth
from gradcheck.report.tables import Table


def tables(health: ActivationHealth) -> list[Table]:
    """Those that have rows."""
    return []
