"""The tables of gradcheck.health.updates."""

from __future__ import annotations

from gradcheck.health.updates.records import UpdateHealth
from gradcheck.report.tables import Table


def tables(health: UpdateHealth) -> list[Table]:
    """Those that have rows."""
    return []
