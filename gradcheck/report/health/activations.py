"""The tables of gradcheck.health.activations."""

from __future__ import annotations

from gradcheck.health.activations.records import ActivationHealth, ActivationRecord
from gradcheck.report.tables import Column, Table, percent


def _wanted_std(record: ActivationRecord) -> float | None:
    weight = record.weight
    return weight.wanted_std if weight is not None and not weight.normalised else None


_LAYERS = (
    Column("pass_index", "pass"),
    Column("iteration", "iteration"),
    Column("layer", "layer"),
    Column("name", "value"),
    Column("function", "function"),
    Column("line", "line", "location.line"),
    Column("units", "units"),
    Column("samples", "samples"),
    Column("mean", "mean"),
    Column("std", "std"),
    Column("argument_std", "std before"),
    Column("saturated", "saturated", shown=percent),
    Column("beyond", "beyond limit", shown=percent),
    Column("off", "off", shown=percent),
    Column("dead", "dead units", lambda record: len(record.dead) if record.off is not None else None),
    Column("always_on", "always on", lambda record: len(record.always_on)),
    Column("gradient_mean", "gradient mean"),
    Column("gradient_std", "gradient std"),
    Column("gradient_norm", "gradient norm"),
    Column("weight", "weight", "weight.name"),
    Column("weight_std", "weight std", "weight.std"),
    Column("wanted_std", "wanted", _wanted_std),
    Column("file", "file", "location.file"),
    Column("cell", "cell", "location.cell"),
    Column("depth", "depth"),
    Column("applied", "times applied"),
    Column("slope", "slope below zero"),
    Column("hidden", "hidden"),
)
_HIDDEN = frozenset({"pass_index", "file", "cell", "depth", "applied", "slope", "hidden", "always_on"})
_TRENDS = (
    Column("pass_index", "pass"),
    Column("iteration", "iteration"),
    Column("function", "function"),
    Column("layers", "layers", lambda trend: len(trend.layers)),
    Column("factor", "factor per layer"),
    Column("total", "first over last"),
)


def tables(health: ActivationHealth) -> list[Table]:
    """Those that have rows."""
    several = len({record.iteration for record in health.layers}) > 1
    hidden = _HIDDEN if several else _HIDDEN | {"iteration"}
    found = (
        Table.of("activations", "Activations and their gradients", _LAYERS, health.layers, hidden),
        Table.of(
            "gradient_trend",
            "The gradient's norm from layer to layer",
            _TRENDS,
            health.trends,
            {"pass_index"},
        ),
    )
    return [table for table in found if table.rows]
