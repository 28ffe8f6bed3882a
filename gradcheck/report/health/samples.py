"""The tables of gradcheck.health.samples."""

from __future__ import annotations

from gradcheck.health.samples.records import Lengths, SampleHealth, SampleSet
from gradcheck.report.tables import Column, Table, percent

_LENGTHS = (
    Column("source", "sequences"),
    Column("count", "number"),
    Column("mean", "mean length"),
    Column("minimum", "shortest"),
    Column("quartile_1", "quartile 1"),
    Column("median", "median"),
    Column("quartile_3", "quartile 3"),
    Column("maximum", "longest"),
    Column("share_0", "of length 0", percent),
    Column("share_1", "of length 1", percent),
    Column("share_2", "of length 2", percent),
)
_SETS = (
    Column("source", "sequences"),
    Column("number", "number"),
    Column("ended", "ended"),
    Column("unended", "never ended"),
    Column("kolmogorov_smirnov", "KS distance"),
    Column("p_value", "p"),
    Column("wasserstein", "Wasserstein (tokens)"),
    Column("distinct", "different"),
    Column("distinct_expected", "in the data"),
    Column("copies", "copies of the data", percent),
    Column("loss", "loss"),
    Column("guessing", "guessing"),
    Column("sampler_shift", "sampler against network"),
)
_ENDS = (
    Column("position", "position"),
    Column("sequences", "sequences there"),
    Column("sampled", "end there", percent),
    Column("data", "in the data", percent),
    Column("sampler", "sampler's probability", percent),
    Column("network", "trained network's", percent),
)


def tables(health: SampleHealth) -> list[Table]:
    """Those that have rows."""
    found: list[Table] = []
    for number, one in enumerate(health.sets, 1):
        which = f"_{number}" if len(health.sets) > 1 else ""
        lengths = [_row(one.source, one.lengths)]
        if one.data is not None:
            lengths.append(_row(one.data.source, one.data))
        ends = [(e.position, e.sequences, e.sampled, e.data, e.sampler, e.network) for e in one.ends]
        found += [
            Table(f"samples{which}", f"Generated sequences, {one.source}", _SETS, [_set(one)]),
            Table(
                f"sample_lengths{which}", "Their lengths, and those of the training data", _LENGTHS, lengths
            ),
            Table(f"sample_ends{which}", "Where they end", _ENDS, list(ends)),
        ]
    return [table for table in found if table.rows]


def _row(source: str, lengths: Lengths) -> tuple[object, ...]:
    quantiles = (lengths.quantile(q) for q in (0.0, 0.25, 0.5, 0.75, 1.0))
    return (source, lengths.count, lengths.mean, *quantiles, *(lengths.share(i) for i in (0, 1, 2)))


def _set(one: SampleSet) -> tuple[object, ...]:
    difference, network = one.difference, one.network
    return (
        one.source,
        one.count,
        one.ended,
        one.cut + one.endless,
        difference and difference.kolmogorov_smirnov,
        difference and difference.p_value,
        difference and difference.wasserstein,
        one.distinct,
        one.distinct_expected,
        one.copies,
        one.training.loss,
        one.training.guessing,
        network and network.distance,
    )
