"""The tables of gradcheck.health.samples."""

from __future__ import annotations

from typing import NamedTuple

from gradcheck.health.samples.records import Lengths, SampleHealth
from gradcheck.report.tables import Column, Table, percent

_SETS = (
    Column("source", "sequences"),
    Column("number", "number", "count"),
    Column("ended", "ended"),
    Column("unended", "never ended", lambda one: one.cut + one.endless),
    Column("kolmogorov_smirnov", "KS distance", "difference.kolmogorov_smirnov"),
    Column("p_value", "p", "difference.p_value"),
    Column("wasserstein", "Wasserstein (tokens)", "difference.wasserstein"),
    Column("distinct", "different"),
    Column("distinct_expected", "in the data"),
    Column("copies", "copies of the data", shown=percent),
    Column("loss", "loss", "training.loss"),
    Column("guessing", "guessing", "training.guessing"),
    Column("sampler_shift", "sampler against network", "network.distance"),
)
_ENDS = (
    Column("position", "position"),
    Column("sequences", "sequences there"),
    Column("sampled", "end there", shown=percent),
    Column("data", "in the data", shown=percent),
    Column("sampler", "sampler's probability", shown=percent),
    Column("network", "trained network's", shown=percent),
)
_QUANTILES = (
    ("minimum", "shortest", 0.0),
    ("quartile_1", "quartile 1", 0.25),
    ("median", "median", 0.5),
    ("quartile_3", "quartile 3", 0.75),
    ("maximum", "longest", 1.0),
)


def _quantile(name: str, heading: str, at: float) -> Column:
    return Column(name, heading, lambda named: named.lengths.quantile(at))


def _share(length: int) -> Column:
    name = f"share_{length}"
    return Column(name, f"of length {length}", lambda named: named.lengths.share(length), percent)


_LENGTHS = (
    Column("source", "sequences"),
    Column("count", "number", "lengths.count"),
    Column("mean", "mean length", "lengths.mean"),
    *(_quantile(*quantile) for quantile in _QUANTILES),
    *(_share(length) for length in (0, 1, 2)),
)


class _Named(NamedTuple):
    source: str
    lengths: Lengths


def tables(health: SampleHealth) -> list[Table]:
    """Those that have rows."""
    found: list[Table] = []
    for number, one in enumerate(health.sets, 1):
        which = f"_{number}" if len(health.sets) > 1 else ""
        lengths = [_Named(one.source, one.lengths)]
        if one.data is not None:
            lengths.append(_Named(one.data.source, one.data))
        title = "Their lengths, and those of the training data"
        found += [
            Table.of(f"samples{which}", f"Generated sequences, {one.source}", _SETS, [one]),
            Table.of(f"sample_lengths{which}", title, _LENGTHS, lengths),
            Table.of(f"sample_ends{which}", "Where they end", _ENDS, one.ends),
        ]
    return [table for table in found if table.rows]
