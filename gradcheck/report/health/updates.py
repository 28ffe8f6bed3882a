"""The tables of gradcheck.health.updates."""

from __future__ import annotations

from typing import Any

from gradcheck.health.updates.records import UpdateHealth
from gradcheck.report.tables import Column, Table


def _log10(value: Any) -> str:
    return "-" if value is None else f"{value:.2f}"


def tables(health: UpdateHealth) -> list[Table]:
    """Those that have rows."""
    return [table for table in (_initial_losses(health), _parameters(health)) if table.rows]


def _initial_losses(health: UpdateHealth) -> Table:
    columns = (
        Column("pass", "pass"),
        Column("loss", "loss"),
        Column("classes", "classes"),
        Column("expected", "ln(classes)"),
        Column("found", "at the first step"),
        Column("standard_error", "standard error"),
        Column("examples", "examples"),
        Column("logits_std", "std of the logits"),
    )
    rows = [
        (
            loss.pass_index, loss.loss, loss.classes, loss.expected, loss.found, loss.error, loss.examples,
            loss.logits_std,
        )
        for loss in health.initial_losses
    ]  # fmt: skip
    return Table("initial_loss", "Initial loss", columns, rows, hidden=frozenset({"pass"}))


def _parameters(health: UpdateHealth) -> Table:
    columns = (
        Column("pass", "pass"),
        Column("iteration", "iteration"),
        Column("parameter", "parameter"),
        Column("shape", "shape"),
        Column("mean", "mean"),
        Column("std", "std"),
        Column("gradient", "gradient"),
        Column("gradient_mean", "gradient mean"),
        Column("gradient_std", "gradient std"),
        Column("gradient_ratio", "gradient : data"),
        Column("update_std", "update std"),
        Column("update_ratio", "update : data (log10)", _log10),
        Column("learning_rate", "learning rate"),
    )
    rows = [
        (
            step.pass_index, step.iteration, p.name, " x ".join(map(str, p.shape)) or "1", p.mean, p.std,
            p.gradient or None, p.gradient_mean, p.gradient_std, p.gradient_ratio, p.update_std, p.update_ratio,
            p.learning_rate.value if p.learning_rate is not None else None,
        )
        for step in health.steps
        for p in step.parameters
    ]  # fmt: skip
    hidden = {"pass", "mean", "gradient_mean", "update_std"}
    if all(step.iteration is None for step in health.steps):
        hidden.add("iteration")
    return Table("parameters", "Parameters and their updates", columns, rows, frozenset(hidden))
