"""Every figure of a report. Those of the health section are here, in the order in which a report shows them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from gradcheck.base.extras import is_installed
from gradcheck.health.activations.records import ActivationHealth, ActivationRecord
from gradcheck.health.batch_norm.records import BatchNormHealth
from gradcheck.health.samples.records import Lengths, SampleHealth, SampleSet
from gradcheck.health.updates.records import StepRecord, UpdateHealth
from gradcheck.report.contents import ReportContents
from gradcheck.report.figures import isolation
from gradcheck.report.figures.drawing import (
    COLOURS,
    MARKERS,
    Picture,
    labelled,
    line_style,
    new_figure,
    png_of,
    shortened,
)  # fmt: skip

_MOST_LAYERS = 8  # in one figure: more could not be distinguished
_MOST_NORMS, _MOST_PARAMETERS = 7, 14
_MOST_LENGTHS = 40
_HEALTHY = -3.0
_REFERENCE: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": "dotted"}
_LOGARITHMIC_FROM = 100  # iterations: what matters happens early
_HISTOGRAMS = (
    (
        "histogram", "activations", "value of the activation (no unit)",
        "How the activations of each layer are spread",
    ),
    (
        "gradient_histogram", "activation-gradients", "dL/d activation (loss per unit of activation)",
        "How the gradients that reach each layer are spread",
    ),
)  # fmt: skip


def report_pictures(report: ReportContents) -> list[Picture]:
    """In the order in which a report shows them; none without matplotlib."""
    if not is_installed("matplotlib"):
        return []
    health = report.health
    return [
        *_activations(health.activations),
        *_batch_norm(health.batch_norm),
        *_updates(health.updates),
        *_samples(health.samples),
        *(() if report.isolation is None else isolation.pictures(report.isolation)),
    ]


def _last_step(layers: Sequence[Any]) -> list[Any]:
    """Of several recorded steps the last: the figures show what the network has become."""
    last = max((layer.pass_index for layer in layers), default=0)
    return [layer for layer in layers if layer.pass_index == last]


# -- activations -----------------------------------------------------------------------------------------------------


def _activations(health: ActivationHealth) -> Iterator[Picture]:
    layers = _last_step(health.layers)
    mapped = [layer for layer in layers if layer.map and layer.hidden][:_MOST_LAYERS]
    if mapped:
        yield _saturation(mapped, health)
    for which, name, label, title in _HISTOGRAMS:
        drawn = [layer for layer in layers if getattr(layer, which).counts][:_MOST_LAYERS]
        if drawn:
            yield _histograms(drawn, which, name, label, title)


def _saturation(layers: Sequence[ActivationRecord], health: ActivationHealth) -> Picture:
    figure = new_figure(0.6 + 1.5 * len(layers))
    for number, layer in enumerate(layers, start=1):
        axes = figure.add_subplot(len(layers), 1, number)
        rows = [[character == "#" for character in row] for row in layer.map]
        axes.imshow(rows, cmap="gray_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        title = f"{shortened(layer.name)} ({layer.function}): black is {_black(layer, health)}"
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_ylabel("sample", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("unit" if number == len(layers) else "", fontsize=8)
    names = ", ".join(layer.name for layer in layers)
    alt = (
        f"Saturation per unit on the recorded batch: {names}. A column that is black all the way down is a unit "
        "that the whole batch leaves on its flat side."
    )
    return Picture("saturation", "activations", alt, png_of(figure), reversible=False)


def _black(layer: ActivationRecord, health: ActivationHealth) -> str:
    if layer.saturated is not None:
        return f"saturated (tanh beyond {health.saturated_limit:g}, or its like)"
    return "its negative side" if layer.slope else "off"


def _histograms(layers: Sequence[ActivationRecord], which: str, name: str, label: str, title: str) -> Picture:
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    for number, layer in enumerate(layers):
        histogram = getattr(layer, which)
        total = sum(histogram.counts) or 1
        named = f"layer {layer.layer}: {shortened(layer.name)} ({layer.function})"
        shares = [count / total for count in histogram.counts]
        axes.stairs(shares, histogram.edges, baseline=None, linewidth=1.3, label=named, **line_style(number))
    labelled(axes, label, "share of the values per bin", title)
    axes.legend(fontsize=7)
    names = ", ".join(layer.name for layer in layers)
    return Picture(name, "activations", f"{title}: {names}.", png_of(figure))


# -- batch normalisation, updates, samples ---------------------------------------------------------------------------


def _batch_norm(health: BatchNormHealth) -> Iterator[Picture]:
    """Per feature: mean 0 and standard deviation 1 if it normalises."""
    layers = [layer for layer in _last_step(health.layers) if layer.means][:_MOST_NORMS]
    if not layers:
        return
    figure = new_figure(3.6)
    left, right = figure.subplots(1, 2)
    for axes, wanted, what, field in (
        (left, 0.0, "mean", "means"),
        (right, 1.0, "standard deviation", "stds"),
    ):
        spread = 0.0
        for number, layer in enumerate(layers):
            values = sorted(getattr(layer, field))
            spread = max(spread, *(abs(value - wanted) for value in values))
            axes.plot(
                [(i + 0.5) / len(values) for i in range(len(values))], values, markersize=3, linewidth=1.2,
                color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
                markevery=max(1, len(values) // 12), label=f"of {shortened(layer.input)}",
            )  # fmt: skip
        axes.axhline(wanted, **_REFERENCE)
        labelled(axes, "feature, sorted (share of all features)", f"{what} (no unit)")
        if spread < 0.1:  # rounding must not look like a spread
            axes.set_ylim(wanted - 0.1, wanted + 0.1)
    title = "Output before scale and shift: 0 and 1 (dotted) if it normalises"
    left.set_title(title, fontsize=10, loc="left")
    right.legend(fontsize=7)
    names = ", ".join(layer.input for layer in layers)
    alt = f"Mean and standard deviation of each feature of the normalised output: {names}."
    yield Picture("batch-norm", "batch_norm", alt, png_of(figure))


def _updates(health: UpdateHealth) -> Iterator[Picture]:
    steps = [step for step in health.steps if any(p.update_ratio is not None for p in step.parameters)]
    if steps:
        yield _over_iterations(steps) if len(steps) > 1 else _bars(steps[0])


def _over_iterations(steps: Sequence[StepRecord]) -> Picture:
    figure = new_figure(3.6)
    axes = figure.add_subplot()
    lines: dict[str, list[tuple[int, float]]] = {}
    for step in steps:
        at = step.iteration if step.iteration is not None else step.pass_index
        for parameter in step.parameters:
            if parameter.update_ratio is not None:
                lines.setdefault(parameter.name, []).append((at, parameter.update_ratio))
    for number, (name, points) in enumerate(islice(lines.items(), _MOST_PARAMETERS)):
        marker = MARKERS[number % len(MARKERS)]
        style = line_style(number) | {"marker": marker, "markersize": 4, "label": shortened(name)}
        axes.plot(*zip(*points, strict=True), **style)
    axes.axhline(_HEALTHY, **_REFERENCE)
    axes.annotate("healthy", (0.005, _HEALTHY), xycoords=("axes fraction", "data"), fontsize=7, va="bottom")
    if max(step.iteration or 0 for step in steps) >= _LOGARITHMIC_FROM:
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(left=0)
    title = "Update-to-data ratio over the recorded iterations"
    labelled(axes, "iteration of the training loop", "update to data: log10 of std / std", title)
    figure.legend(*axes.get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    alt = "Update-to-data ratio of each parameter over iterations."
    return Picture("updates", "parameters", alt, png_of(figure))


def _bars(step: StepRecord) -> Picture:
    ratios = [(p.name, p.update_ratio) for p in step.parameters if p.update_ratio is not None][:40]
    places, values = range(len(ratios)), [ratio for _, ratio in ratios]
    figure = new_figure(0.9 + 0.22 * len(ratios))
    axes = figure.add_subplot()
    axes.scatter(values, places, color=COLOURS[0], zorder=3)
    axes.hlines(places, _HEALTHY, values, color=COLOURS[0], linewidth=1.2)
    axes.axvline(_HEALTHY, **_REFERENCE)
    axes.set_yticks(places, [shortened(name) for name, _ in ratios], fontsize=8)
    axes.invert_yaxis()
    where = "" if step.iteration is None else f" at iteration {step.iteration}"
    label = "update to data: log10 of std / std (about -3, dotted, is healthy)"
    labelled(axes, label, title=f"Update-to-data ratio{where}")
    return Picture("updates", "parameters", f"Update-to-data ratio of each parameter{where}.", png_of(figure))


def _samples(health: SampleHealth) -> Iterator[Picture]:
    drawn = [each for each in health.sets if each.count]
    for number, each in enumerate(drawn, start=1):
        yield _lengths(each, "" if len(drawn) == 1 else f"-{number}")


def _lengths(samples: SampleSet, suffix: str) -> Picture:
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    data, made = samples.data, samples.lengths
    longest = max(made.longest, data.longest if data else 0)
    last = min(longest, _MOST_LENGTHS)
    if data is not None and data.count:
        label = f"training data ({data.count:,}, mean {data.mean:.2f})"
        places = [i - 0.2 for i in range(last + 1)]
        axes.bar(places, _shares(data, last), width=0.4, color=COLOURS[0], label=label)
    label = f"generated ({made.count:,}, mean {made.mean:.2f})"
    places = [i + 0.2 for i in range(last + 1)]
    hatched: dict[str, Any] = {"color": "white", "edgecolor": COLOURS[1], "hatch": "////"}
    axes.bar(places, _shares(made, last), width=0.4, label=label, **hatched)
    more = f" ({last}: {last} or more)" if longest > last else ""
    title = "Lengths of generated sequences against the training data"
    labelled(axes, f"length (tokens before the end){more}", "share of the sequences", title)
    axes.legend(fontsize=8)
    alt = f"Lengths of the sequences {samples.source} against those of the training data."
    return Picture(f"sample-lengths{suffix}", "samples", alt, png_of(figure))


def _shares(lengths: Lengths, last: int) -> list[float]:
    counts = [*lengths.counts, *[0] * (last + 1 - len(lengths.counts))]
    kept = [*counts[:last], sum(counts[last:])]
    return [count / max(1, lengths.count) for count in kept]
