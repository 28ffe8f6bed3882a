"""The tables of gradcheck.health.evaluation."""

from __future__ import annotations

from gradcheck.health.evaluation.records import EvaluationHealth
from gradcheck.report.tables import Table


def tables(health: EvaluationHealth) -> list[Table]:
    """Those that have rows."""
    return []
