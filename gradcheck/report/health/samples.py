"""The tables of gradcheck.health.samples."""

from __future__ import annotations

from gradcheck.health.samples.records import SampleHealth
from gradcheck.report.tables import Table


def tables(health: SampleHealth) -> list[Table]:
    """Those that have rows."""
    return []
