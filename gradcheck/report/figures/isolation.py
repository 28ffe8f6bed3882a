"""The loss curves of an isolation, a line for each variant."""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.isolation.records import Isolation, Variant
from gradcheck.report.figures.drawing import COLOURS, LINES, Picture, labelled, new_figure, png_of
from gradcheck.report.isolation import named

_COLOURS = (COLOURS[-1], *COLOURS[:-1])  # black is as written
_MOST_LINES = len(_COLOURS)
_POINTS = 40  # of a curve: fewer show the course, more show the noise of the minibatches


def shown_variants(isolation: Isolation) -> list[Variant]:
    """As written, all, and each component alone; where these are too many, those that cost most."""
    keys = [cost.key for cost in isolation.costs]
    wanted = [(), tuple(c.key for c in isolation.components), *((key,) for key in keys)]
    found = [isolation.variant(repaired) for repaired in dict.fromkeys(wanted)]
    return [variant for variant in found if variant is not None and variant.curve][:_MOST_LINES]


def pictures(isolation: Isolation) -> Iterator[Picture]:
    """None if no variant was trained."""
    variants = shown_variants(isolation)
    if not variants:
        return
    figure = new_figure(4.2)
    axes = figure.add_subplot()
    for number, variant in enumerate(variants):
        steps, losses = _thinned(variant.curve, isolation.steps)
        width = 1.6 if variant.repaired else 3.0  # the reference stays visible under an equal line
        colour, dashes = _COLOURS[number % len(_COLOURS)], LINES[number % len(LINES)]
        label = named(variant, isolation) + " (diverged)" * bool(variant.diverged)
        axes.plot(steps, losses, color=colour, linestyle=dashes, linewidth=width, label=label)
    seeds = numbers.count(len(isolation.seeds), "seed")
    labelled(axes, "training steps", f"training loss, mean over {seeds}")
    figure.legend(*axes.get_legend_handles_labels(), title="repaired", fontsize=7, loc="outside right upper")
    alt = "Training loss over the steps, a line for each variant."
    yield Picture("loss-curves", "isolation", alt, png_of(figure))


def _thinned(curve: list[float], steps: int) -> tuple[list[float], list[float]]:
    """The middle of each stretch in steps, and the mean loss over it. A diverged curve covers a part of the steps."""
    from gradcheck.isolation.tasks import CURVE_POINTS

    whole = min(CURVE_POINTS, steps)
    group = max(1, whole // _POINTS)
    length = steps / whole
    places, means = [], []
    for first in range(0, len(curve), group):
        part = curve[first : first + group]
        places.append((first + len(part) / 2) * length)
        means.append(sum(part) / len(part))
    return places, means
