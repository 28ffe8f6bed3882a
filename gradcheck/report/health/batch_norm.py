"""The tables of gradcheck.health.batch_norm."""

from __future__ import annotations

from statistics import median
from typing import Any

from gradcheck.health.batch_norm.records import (
    BatchNormHealth,
    BatchNormLayer,
    Spread,
    Statistic,
    StatisticsInUse,
)
from gradcheck.report.tables import Column, Table, percent


def tables(health: BatchNormHealth) -> list[Table]:
    """Those that have rows."""
    return [table for table in (_layers(health), _statistics(health)) if table.rows]


def _layers(health: BatchNormHealth) -> Table:
    columns = (
        Column("pass", "pass"),
        Column("iteration", "iteration"),
        Column("layer", "input"),
        Column("line", "line"),
        Column("batch", "batch"),
        Column("features", "features"),
        Column("mean_worst", "largest mean"),
        Column("std_low", "lowest std"),
        Column("std_median", "median std"),
        Column("std_high", "highest std"),
        Column("gamma", "scale, mean and std"),
        Column("beta", "shift, mean and std"),
        Column("correction", "variance over n minus"),
        Column("eps", "eps"),
        Column("below_eps", "variance below eps", percent),
    )
    return Table(
        "batch_norm",
        "Batch normalisation: output before scale and shift",
        columns,
        [_row(layer) for layer in health.layers],
        frozenset({"pass"}) if len({layer.pass_index for layer in health.layers}) < 2 else frozenset(),
    )


def _row(layer: BatchNormLayer) -> tuple[Any, ...]:
    stds = layer.stds
    return (
        layer.pass_index,
        layer.iteration,
        layer.input,
        layer.location.line,
        layer.batch,
        layer.features,
        layer.worst_mean,
        min(stds, default=None),
        median(stds) if stds else None,
        max(stds, default=None),
        _spread(layer.gamma),
        _spread(layer.beta),
        layer.correction,
        layer.eps,
        layer.below_eps if layer.eps else None,
    )


def _spread(spread: Spread | None) -> str | None:
    return f"{spread.mean:.3g} ± {spread.std:.2g}" if spread is not None else None


def _statistics(health: BatchNormHealth) -> Table:
    columns = (
        Column("pass", "pass"),
        Column("layer", "layer"),
        Column("statistic", "statistic"),
        Column("line", "line"),
        Column("source", "source"),
        Column("of", "computed from"),
        Column("offset", "off, in std of the layer"),
        Column("ratio", "of the layer's variance"),
    )
    rows = [_use(use, statistic) for use in health.in_use for statistic in use.statistics]
    return Table(
        "batch_norm_statistics",
        "Batch statistics used after the training",
        columns,
        rows,
        frozenset({"pass"}),
    )


def _use(use: StatisticsInUse, statistic: Statistic) -> tuple[Any, ...]:
    return (
        use.pass_index,
        use.input,
        statistic.name,
        statistic.location.line,
        use.source.value,
        statistic.computed_from,
        statistic.offset,
        statistic.ratio,
    )
