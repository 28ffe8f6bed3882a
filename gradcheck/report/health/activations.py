"""The tables of gradcheck.health.activations."""

from __future__ import annotations

from gradcheck.health.activations.records import ActivationHealth, ActivationRecord
from gradcheck.report.tables import Column, Table, percent

_COLUMNS = (
    Column("pass_index", "pass"),
    Column("iteration", "iteration"),
    Column("layer", "layer"),
    Column("name", "value"),
    Column("function", "function"),
    Column("line", "line"),
    Column("units", "units"),
    Column("samples", "samples"),
    Column("mean", "mean"),
    Column("std", "std"),
    Column("argument_std", "std before"),
    Column("saturated", "saturated", percent),
    Column("beyond", "beyond limit", percent),
    Column("off", "off", percent),
    Column("dead", "dead units"),
    Column("always_on", "always on"),
    Column("gradient_mean", "gradient mean"),
    Column("gradient_std", "gradient std"),
    Column("gradient_norm", "gradient norm"),
    Column("weight", "weight"),
    Column("weight_std", "weight std"),
    Column("wanted_std", "wanted"),
    Column("file", "file"),
    Column("cell", "cell"),
    Column("depth", "depth"),
    Column("applied", "times applied"),
    Column("slope", "slope below zero"),
    Column("hidden", "hidden"),
)
_HIDDEN = frozenset({"pass_index", "file", "cell", "depth", "applied", "slope", "hidden", "always_on"})


def tables(health: ActivationHealth) -> list[Table]:
    """Those that have rows."""
    found = []
    if health.layers:
        several = len({record.iteration for record in health.layers}) > 1
        hidden = _HIDDEN if several else _HIDDEN | {"iteration"}
        rows = [_row(record) for record in health.layers]
        found.append(Table("activations", "Activations and their gradients", _COLUMNS, rows, hidden))
    if health.trends:
        found.append(_trends(health))
    return found


def _row(record: ActivationRecord) -> tuple[object, ...]:
    weight = record.weight
    known = {
        "line": record.location.line,
        "file": record.location.file,
        "cell": record.location.cell,
        "dead": len(record.dead) if record.off is not None else None,
        "always_on": len(record.always_on),
        "weight": weight.name if weight else None,
        "weight_std": weight.std if weight else None,
        "wanted_std": weight.wanted_std if weight and not weight.normalised else None,
    }
    return tuple(
        known[column.name] if column.name in known else getattr(record, column.name) for column in _COLUMNS
    )


def _trends(health: ActivationHealth) -> Table:
    columns = (
        Column("pass_index", "pass"),
        Column("iteration", "iteration"),
        Column("function", "function"),
        Column("layers", "layers"),
        Column("factor", "factor per layer"),
        Column("total", "first over last"),
    )
    rows: list[tuple[object, ...]] = [
        (t.pass_index, t.iteration, t.function, len(t.layers), t.factor, t.total) for t in health.trends
    ]
    return Table(
        "gradient_trend", "The gradient's norm from layer to layer", columns, rows, frozenset({"pass_index"})
    )
