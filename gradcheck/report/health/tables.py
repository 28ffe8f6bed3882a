"""The tables of the health section: a family after the other, each of what its records hold."""

from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

from gradcheck.base import numbers
from gradcheck.health.activations.records import ActivationHealth, ActivationRecord
from gradcheck.health.batch_norm.records import BatchNormHealth, Spread, Statistic, StatisticsInUse
from gradcheck.health.evaluation.records import EvaluationHealth, EvaluationRun
from gradcheck.health.records import Health
from gradcheck.health.samples.records import Lengths, SampleHealth
from gradcheck.health.updates.records import ParameterRecord, StepRecord, UpdateHealth
from gradcheck.report.tables import Column, Table, columns, percent


def health_tables(health: Health) -> list[Table]:
    """Those that have rows, in the order in which a report shows them."""
    tables = (
        *_activations(health.activations),
        *_batch_norm(health.batch_norm),
        *_updates(health.updates),
        *_evaluation(health.evaluation),
        *_samples(health.samples),
    )
    return [table for table in tables if table.rows]


# -- activations -----------------------------------------------------------------------------------------------------


def _wanted_std(record: ActivationRecord) -> float | None:
    weight = record.weight
    return weight.wanted_std if weight is not None and not weight.normalised else None


_LAYERS = (
    Column("pass_index", "pass"),
    *columns("iteration layer"),
    Column("name", "value"),
    *columns("function line=location.line units samples mean std"),
    Column("argument_std", "std before"),
    Column("saturated", "saturated", shown=percent),
    Column("beyond", "beyond limit", shown=percent),
    Column("off", "off", shown=percent),
    Column("dead", "dead units", lambda record: len(record.dead) if record.off is not None else None),
    Column("always_on", "always on", lambda record: len(record.always_on)),
    *columns("gradient_mean gradient_std gradient_norm weight=weight.name weight_std=weight.std"),
    Column("wanted_std", "wanted", _wanted_std),
    *columns("file=location.file cell=location.cell depth"),
    Column("applied", "times applied"),
    Column("slope", "slope below zero"),
    Column("hidden", "hidden"),
)
_HIDDEN = frozenset({"pass_index", "file", "cell", "depth", "applied", "slope", "hidden", "always_on"})
_TRENDS = (
    Column("pass_index", "pass"),
    *columns("iteration function"),
    Column("layers", "layers", lambda trend: len(trend.layers)),
    Column("factor", "factor per layer"),
    Column("total", "first over last"),
)


def _activations(health: ActivationHealth) -> Iterator[Table]:
    several = len({record.iteration for record in health.layers}) > 1
    hidden = _HIDDEN if several else _HIDDEN | {"iteration"}
    yield Table.of("activations", "Activations and their gradients", _LAYERS, health.layers, hidden)
    title = "The gradient's norm from layer to layer"
    yield Table.of("gradient_trend", title, _TRENDS, health.trends, {"pass_index"})


# -- batch normalisation ---------------------------------------------------------------------------------------------


def _spread(spread: Spread | None) -> str | None:
    return f"{spread.mean:.3g} ± {spread.std:.2g}" if spread is not None else None


class _Used(NamedTuple):
    use: StatisticsInUse
    statistic: Statistic


_NORMS = (
    *columns("pass=pass_index iteration"),
    Column("layer", "input", "input"),
    *columns("line=location.line batch features"),
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
    *columns("pass=use.pass_index layer=use.input statistic=statistic.name line=statistic.location.line"),
    Column("source", "source", "use.source.value"),
    Column("of", "computed from", "statistic.computed_from"),
    Column("offset", "off, in std of the layer", "statistic.offset"),
    Column("ratio", "of the layer's variance", "statistic.ratio"),
)


def _batch_norm(health: BatchNormHealth) -> Iterator[Table]:
    several = len({layer.pass_index for layer in health.layers}) > 1
    title = "Batch normalisation: output before scale and shift"
    yield Table.of("batch_norm", title, _NORMS, health.layers, () if several else {"pass"})
    used = [_Used(use, statistic) for use in health.in_use for statistic in use.statistics]
    title = "Batch statistics used after the training"
    yield Table.of("batch_norm_statistics", title, _STATISTICS, used, {"pass"})


# -- updates ---------------------------------------------------------------------------------------------------------


def _log10(value: Any) -> str:
    return "-" if value is None else f"{value:.2f}"


class _Moved(NamedTuple):
    step: StepRecord
    parameter: ParameterRecord


_INITIAL_LOSSES = (
    *columns("pass=pass_index loss classes"),
    Column("expected", "ln(classes)"),
    Column("found", "at the first step"),
    *columns("standard_error=error examples"),
    Column("logits_std", "std of the logits"),
)
_PARAMETERS = (
    *columns("pass=step.pass_index iteration=step.iteration parameter=parameter.name"),
    Column("shape", "shape", lambda moved: " x ".join(map(str, moved.parameter.shape)) or "1"),
    *columns("mean=parameter.mean std=parameter.std"),
    Column("gradient", "gradient", lambda moved: moved.parameter.gradient or None),
    *columns("gradient_mean=parameter.gradient_mean gradient_std=parameter.gradient_std"),
    Column("gradient_ratio", "gradient : data", "parameter.gradient_ratio"),
    Column("update_std", "update std", "parameter.update_std"),
    Column("update_ratio", "update : data (log10)", "parameter.update_ratio", _log10),
    Column("learning_rate", "learning rate", "parameter.learning_rate.value"),
)


def _updates(health: UpdateHealth) -> Iterator[Table]:
    yield Table.of("initial_loss", "Initial loss", _INITIAL_LOSSES, health.initial_losses, {"pass"})
    moved = [_Moved(step, parameter) for step in health.steps for parameter in step.parameters]
    hidden = {"pass", "mean", "gradient_mean", "update_std"}
    if all(step.iteration is None for step in health.steps):
        hidden.add("iteration")
    yield Table.of("parameters", "Parameters and their updates", _PARAMETERS, moved, hidden)


# -- evaluation ------------------------------------------------------------------------------------------------------


def _code(run: EvaluationRun) -> str:
    return f"{run.name}()" if run.name and not run.name.startswith(("<", "__")) else "inline"


def _evaluation(health: EvaluationHealth) -> Iterator[Table]:
    trained = set(health.parameters)
    shown = (
        Column("function", "code", _code),
        *columns("file=location.file cell=location.cell line=location.line"),
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
    yield Table.of("evaluation", title, shown, health.complete, hidden)


# -- samples ---------------------------------------------------------------------------------------------------------


class _Named(NamedTuple):
    source: str
    lengths: Lengths


def _quantile(name: str, heading: str, at: float) -> Column:
    return Column(name, heading, lambda named: named.lengths.quantile(at))


def _share(length: int) -> Column:
    name = f"share_{length}"
    return Column(name, f"of length {length}", lambda named: named.lengths.share(length), percent)


_SETS = (
    Column("source", "sequences"),
    *columns("number=count ended"),
    Column("unended", "never ended", lambda one: one.cut + one.endless),
    Column("kolmogorov_smirnov", "KS distance", "difference.kolmogorov_smirnov"),
    Column("p_value", "p", "difference.p_value"),
    Column("wasserstein", "Wasserstein (tokens)", "difference.wasserstein"),
    Column("distinct", "different"),
    Column("distinct_expected", "in the data"),
    Column("copies", "copies of the data", shown=percent),
    *columns("loss=training.loss guessing=training.guessing"),
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
_LENGTHS = (
    Column("source", "sequences"),
    Column("count", "number", "lengths.count"),
    Column("mean", "mean length", "lengths.mean"),
    _quantile("minimum", "shortest", 0.0),
    _quantile("quartile_1", "quartile 1", 0.25),
    _quantile("median", "median", 0.5),
    _quantile("quartile_3", "quartile 3", 0.75),
    _quantile("maximum", "longest", 1.0),
    *map(_share, (0, 1, 2)),
)


def _samples(health: SampleHealth) -> Iterator[Table]:
    for number, one in enumerate(health.sets, 1):
        which = f"_{number}" if len(health.sets) > 1 else ""
        lengths = [_Named(one.source, one.lengths)]
        lengths += [_Named(one.data.source, one.data)] if one.data is not None else []
        title = "Their lengths, and those of the training data"
        yield Table.of(f"samples{which}", f"Generated sequences, {one.source}", _SETS, [one])
        yield Table.of(f"sample_lengths{which}", title, _LENGTHS, lengths)
        yield Table.of(f"sample_ends{which}", "Where they end", _ENDS, one.ends)
