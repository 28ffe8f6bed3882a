"""What each batch normalisation puts out, per feature: mean 0 and standard deviation 1 if it normalises."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.health.batch_norm.records import BatchNormHealth
from gradcheck.report.figures.drawing import COLOURS, MARKERS, Picture, new_figure, png_of, shortened

_MOST_LAYERS = 7


def pictures(health: BatchNormHealth) -> Iterator[Picture]:
    last = max((layer.pass_index for layer in health.layers), default=0)
    layers = [layer for layer in health.layers if layer.pass_index == last and layer.means][:_MOST_LAYERS]
    if not layers:
        return
    figure = new_figure(3.6)
    left, right = figure.subplots(1, 2)
    for axes, wanted, what in ((left, 0.0, "mean"), (right, 1.0, "standard deviation")):
        for number, layer in enumerate(layers):
            values = sorted(layer.means if what == "mean" else layer.stds)
            positions = [(i + 0.5) / len(values) for i in range(len(values))]
            axes.plot(
                positions,
                values,
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=3,
                markevery=max(1, len(values) // 12),
                linewidth=1.2,
                label=f"of {shortened(layer.input)}",
            )
        axes.axhline(wanted, color="black", linewidth=0.8, linestyle="dotted")
        axes.set_xlabel("feature, sorted (share of all features)")
        axes.set_ylabel(f"{what} (no unit)")
        spread = max(
            (abs(value - wanted) for line in axes.get_lines() for value in _heights(line)), default=0.0
        )
        if spread < 0.1:  # rounding must not look like a spread
            axes.set_ylim(wanted - 0.1, wanted + 0.1)
    left.set_title(
        "Output before scale and shift: 0 and 1 (dotted) if it normalises", fontsize=10, loc="left"
    )
    right.legend(fontsize=7)
    names = ", ".join(layer.input for layer in layers)
    yield Picture(
        "batch-norm",
        "batch_norm",
        f"Mean and standard deviation of each feature of the normalised output: {names}.",
        png_of(figure),
    )


def _heights(line: object) -> list[float]:
    return [float(y) for y in line.get_ydata()]  # type: ignore[attr-defined]
