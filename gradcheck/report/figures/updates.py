"""The update-to-data ratio of every parameter, over the recorded iterations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from gradcheck.health.updates.records import StepRecord, UpdateHealth
from gradcheck.report.figures.drawing import (
    COLOURS,
    MARKERS,
    Picture,
    line_style,
    new_figure,
    png_of,
    shortened,
)

_MOST_LINES = 14
_HEALTHY = -3.0
_LOGARITHMIC_FROM = 100  # iterations: what matters happens early


def pictures(health: UpdateHealth) -> Iterator[Picture]:
    steps = [step for step in health.steps if any(p.update_ratio is not None for p in step.parameters)]
    if not steps:
        return
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
    for number, (name, points) in enumerate(islice(lines.items(), _MOST_LINES)):
        axes.plot(
            *zip(*points, strict=True),
            **line_style(number),
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            label=shortened(name),
        )
    axes.axhline(_HEALTHY, color="black", linewidth=0.8, linestyle="dotted")
    axes.annotate("healthy", (0.005, _HEALTHY), xycoords=("axes fraction", "data"), fontsize=7, va="bottom")
    last = max((step.iteration or 0 for step in steps), default=0)
    if last >= _LOGARITHMIC_FROM:
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(left=0)
    axes.set_xlabel("iteration of the training loop")
    axes.set_ylabel("update to data: log10 of std / std")
    axes.set_title("Update-to-data ratio over the recorded iterations", fontsize=10, loc="left")
    figure.legend(*axes.get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    return Picture(
        "updates", "parameters", "Update-to-data ratio of each parameter over iterations.", png_of(figure)
    )


def _bars(step: StepRecord) -> Picture:
    rows = [(p.name, p.update_ratio) for p in step.parameters if p.update_ratio is not None][:40]
    figure = new_figure(0.9 + 0.22 * len(rows))
    axes = figure.add_subplot()
    names = [shortened(name) for name, _ in rows]
    ratios = [ratio for _, ratio in rows if ratio is not None]
    axes.scatter(ratios, range(len(rows)), color=COLOURS[0], zorder=3)
    axes.hlines(range(len(rows)), _HEALTHY, ratios, color=COLOURS[0], linewidth=1.2)
    axes.axvline(_HEALTHY, color="black", linewidth=0.8, linestyle="dotted")
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("update to data: log10 of std / std (about -3, dotted, is healthy)")
    where = "" if step.iteration is None else f" at iteration {step.iteration}"
    axes.set_title(f"Update-to-data ratio{where}", fontsize=10, loc="left")
    return Picture("updates", "parameters", f"Update-to-data ratio of each parameter{where}.", png_of(figure))
