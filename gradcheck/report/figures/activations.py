"""Which units are saturated on which samples, and how activations and their gradients are spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradcheck.health.activations.records import ActivationHealth, ActivationRecord
from gradcheck.health.histogram import Histogram
from gradcheck.report.figures.drawing import Picture, line_style, new_figure, png_of, shortened

_MOST_LAYERS = 8  # in one figure: more could not be distinguished
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


def pictures(health: ActivationHealth) -> Iterator[Picture]:
    layers = _last_step(health.layers)
    mapped = [layer for layer in layers if layer.map and layer.hidden][:_MOST_LAYERS]
    if mapped:
        yield _saturation(mapped, health)
    for which, name, label, title in _HISTOGRAMS:
        drawn = [layer for layer in layers if getattr(layer, which).counts][:_MOST_LAYERS]
        if drawn:
            yield _histograms(drawn, which, name, label, title)


def _last_step(layers: Sequence[ActivationRecord]) -> list[ActivationRecord]:
    """Of several recorded steps the last: the figures show what the network has become."""
    last = max((layer.pass_index for layer in layers), default=0)
    return [layer for layer in layers if layer.pass_index == last]


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
    return Picture(
        "saturation",
        "activations",
        f"Saturation per unit on the recorded batch: {names}. A column that is black all the way down is a unit "
        "that the whole batch leaves on its flat side.",
        png_of(figure),
        reversible=False,
    )


def _black(layer: ActivationRecord, health: ActivationHealth) -> str:
    if layer.saturated is not None:
        return f"saturated (tanh beyond {health.saturated_limit:g}, or its like)"
    return "its negative side" if layer.slope else "off"


def _histograms(layers: Sequence[ActivationRecord], which: str, name: str, label: str, title: str) -> Picture:
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    for number, layer in enumerate(layers):
        histogram: Histogram = getattr(layer, which)
        total = sum(histogram.counts) or 1
        named = f"layer {layer.layer}: {shortened(layer.name)} ({layer.function})"
        shares = [count / total for count in histogram.counts]
        axes.stairs(shares, histogram.edges, baseline=None, linewidth=1.3, label=named, **line_style(number))
    axes.set_xlabel(label)
    axes.set_ylabel("share of the values per bin")
    axes.set_title(title, fontsize=10, loc="left")
    axes.legend(fontsize=7)
    names = ", ".join(layer.name for layer in layers)
    return Picture(name, "activations", f"{title}: {names}.", png_of(figure))
