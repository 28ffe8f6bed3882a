"""The tables of gradcheck.health.batch_norm."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from gradcheck.health.batch_norm.records import BatchNormHealth, Spread, Statistic, StatisticsInUse
from gradcheck.report.tables import Column, Table, percent


def _spread(spread: Spread | None) -> str | None:
    return f"{spread.mean:.3g} ± {spread.std:.2g}" if spread is not None else None


_LAYERS = (
    Column("pass", "pass", "pass_index"),
    Column("iteration", "iteration"),
    Column("layer", "input", "input"),
    Column("line", "line", "location.line"),
    Column("batch", "batch"),
    Column("features", "features"),
    Column("mean_worst", "largest mean", "worst_mean"),
    Column("std_low", "lowest std", lambda layer: min(layer.stds, default=None)),
    Column("std_median", "median std", lambda layer: median(layer.stds) if layer.stds else None),
    Column("std_high", "highest std", lambda layer: max(layer.stds, default=None)),
    Column("gamma", "scale, mean and std", lambda layer: _spread(layer.gamma)),
    Column("beta", "shift, mean and std", lambda layer: _spread(layer.beta)),
    Column("correction", "variance over n minus"),
    Column("eps", "eps"),
    Column("below_eps", "variance below eps", lambda layer: layer.below_eps if layer.eps else None, percent),
)
_STATISTICS = (
    Column("pass", "pass", "use.pass_index"),
    Column("layer", "layer", "use.input"),
    Column("statistic", "statistic", "statistic.name"),
    Column("line", "line", "statistic.location.line"),
    Column("source", "source", "use.source.value"),
    Column("of", "computed from", "statistic.computed_from"),
    Column("offset", "off, in std of the layer", "statistic.offset"),
    Column("ratio", "of the layer's variance", "statistic.ratio"),
)


class _Used(NamedTuple):
    use: StatisticsInUse
    statistic: Statistic


def tables(health: BatchNormHealth) -> list[Table]:
    """Those that have rows."""
    several = len({layer.pass_index for layer in health.layers}) > 1
    title = "Batch normalisation: output before scale and shift"
    used = [_Used(use, statistic) for use in health.in_use for statistic in use.statistics]
    found = (
        Table.of("batch_norm", title, _LAYERS, health.layers, () if several else {"pass"}),
        Table.of(
            "batch_norm_statistics", "Batch statistics used after the training", _STATISTICS, used, {"pass"}
        ),
    )
    return [table for table in found if table.rows]
