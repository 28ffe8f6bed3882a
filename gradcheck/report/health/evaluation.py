"""The tables of gradcheck.health.evaluation."""

from __future__ import annotations

from typing import Any

from gradcheck.base import numbers
from gradcheck.health.evaluation.records import EvaluationHealth, EvaluationRun
from gradcheck.report.tables import Column, Table


def tables(health: EvaluationHealth) -> list[Table]:
    """Those that have rows."""
    if not health.complete:
        return []
    trained = set(health.parameters)
    return [
        Table(
            "evaluation",
            "The trained network, run after the training",
            (
                Column("function", "code"),
                Column("file", "file"),
                Column("cell", "cell"),
                Column("line", "line"),
                Column("times", "times run"),
                Column("rows", "samples at once"),
                Column("parameters", "parameters read"),
                Column("trained", "of those trained"),
                Column("same", "the training's network", _same),
                Column("agreeing", "values shared"),
                Column("values", "values in all"),
                Column("parts_at", "differs at line"),
                Column("difference", "relative difference", numbers.error),
                Column("dropout", "dropout on"),
                Column("batch_statistics", "own batch statistics"),
                Column("why_not", "not compared because"),
            ),
            [_row(run, trained) for run in health.complete],
            hidden=frozenset(
                {"file", "why_not"} if all(not r.why_not for r in health.complete) else {"file"}
            ),
        )
    ]


def _row(run: EvaluationRun, trained: set[str]) -> tuple[Any, ...]:
    parting = run.parting
    return (
        f"{run.name}()" if run.name and not run.name.startswith(("<", "__")) else "inline",
        run.location.file,
        run.location.cell,
        run.location.line,
        run.times,
        run.rows,
        len(trained.intersection(run.parameters)),
        len(trained),
        parting is None if run.compared else None,
        run.agreeing if run.compared else None,
        run.values if run.compared else None,
        parting.location.line if parting is not None else None,
        parting.difference if parting is not None else None,
        bool(run.dropouts),
        bool(run.batch_statistics),
        run.why_not or None,
    )


def _same(same: Any) -> str:
    """A run that was not compared is neither."""
    return "-" if same is None else "yes" if same else "no"
