"""The table of gradcheck.health.evaluation."""

from __future__ import annotations

from gradcheck.base import numbers
from gradcheck.health.evaluation.records import EvaluationHealth, EvaluationRun
from gradcheck.report.tables import Column, Table


def tables(health: EvaluationHealth) -> list[Table]:
    """Those that have rows."""
    if not health.complete:
        return []
    trained = set(health.parameters)
    columns = (
        Column("function", "code", _code),
        Column("file", "file", "location.file"),
        Column("cell", "cell", "location.cell"),
        Column("line", "line", "location.line"),
        Column("times", "times run"),
        Column("rows", "samples at once"),
        Column("parameters", "parameters read", lambda run: len(trained.intersection(run.parameters))),
        Column("trained", "of those trained", lambda run: len(trained)),
        Column("same", "the training's network", lambda run: run.parting is None if run.compared else None),
        Column("agreeing", "values shared", lambda run: run.agreeing if run.compared else None),
        Column("values", "values in all", lambda run: run.values if run.compared else None),
        Column("parts_at", "differs at line", "parting.location.line"),
        Column("difference", "relative difference", "parting.difference", numbers.error),
        Column("dropout", "dropout on", lambda run: bool(run.dropouts)),
        Column("batch_statistics", "own batch statistics", lambda run: bool(run.batch_statistics)),
        Column("why_not", "not compared because", lambda run: run.why_not or None),
    )
    hidden = {"file"} if any(run.why_not for run in health.complete) else {"file", "why_not"}
    title = "The trained network, run after the training"
    return [Table.of("evaluation", title, columns, health.complete, hidden)]


def _code(run: EvaluationRun) -> str:
    return f"{run.name}()" if run.name and not run.name.startswith(("<", "__")) else "inline"
