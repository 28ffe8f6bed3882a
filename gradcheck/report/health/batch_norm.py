"""The tables of gradcheck.health.batch_norm."""

from __future__ import annotations

from gradcheck.health.batch_norm.records import BatchNormHealth
from gradcheck.report.tables import Table


def tables(health: BatchNormHealth) -> list[Table]:
    """Those that have rows."""
    return []
