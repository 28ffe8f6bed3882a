"""The tables of gradcheck.health.updates."""

from __future__ import annotations

from typing import Any, NamedTuple

from gradcheck.health.updates.records import ParameterRecord, StepRecord, UpdateHealth
from gradcheck.report.tables import Column, Table


def _log10(value: Any) -> str:
    return "-" if value is None else f"{value:.2f}"


_INITIAL_LOSSES = (
    Column("pass", "pass", "pass_index"),
    Column("loss", "loss"),
    Column("classes", "classes"),
    Column("expected", "ln(classes)"),
    Column("found", "at the first step"),
    Column("standard_error", "standard error", "error"),
    Column("examples", "examples"),
    Column("logits_std", "std of the logits"),
)
_PARAMETERS = (
    Column("pass", "pass", "step.pass_index"),
    Column("iteration", "iteration", "step.iteration"),
    Column("parameter", "parameter", "parameter.name"),
    Column("shape", "shape", lambda moved: " x ".join(map(str, moved.parameter.shape)) or "1"),
    Column("mean", "mean", "parameter.mean"),
    Column("std", "std", "parameter.std"),
    Column("gradient", "gradient", lambda moved: moved.parameter.gradient or None),
    Column("gradient_mean", "gradient mean", "parameter.gradient_mean"),
    Column("gradient_std", "gradient std", "parameter.gradient_std"),
    Column("gradient_ratio", "gradient : data", "parameter.gradient_ratio"),
    Column("update_std", "update std", "parameter.update_std"),
    Column("update_ratio", "update : data (log10)", "parameter.update_ratio", _log10),
    Column("learning_rate", "learning rate", "parameter.learning_rate.value"),
)


class _Moved(NamedTuple):
    step: StepRecord
    parameter: ParameterRecord


def tables(health: UpdateHealth) -> list[Table]:
    """Those that have rows."""
    moved = [_Moved(step, parameter) for step in health.steps for parameter in step.parameters]
    hidden = {"pass", "mean", "gradient_mean", "update_std"}
    if all(step.iteration is None for step in health.steps):
        hidden.add("iteration")
    found = (
        Table.of("initial_loss", "Initial loss", _INITIAL_LOSSES, health.initial_losses, {"pass"}),
        Table.of("parameters", "Parameters and their updates", _PARAMETERS, moved, hidden),
    )
    return [table for table in found if table.rows]
