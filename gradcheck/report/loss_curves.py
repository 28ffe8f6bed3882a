"""The loss curves of an isolation as a picture: readable in print, and without telling red from green."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcheck.isolation.records import Isolation, Variant
from gradcheck.report.figures.drawing import COLOURS
from gradcheck.report.isolation import named

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

_COLOURS = ("#000000", *(colour for colour in COLOURS if colour != "#000000"))
_STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (7, 2)))
_MOST_LINES = 7
_DPI = 150
_POINTS = 40  # of a curve: fewer show the course, more show the noise of the minibatches


def shown_variants(isolation: Isolation) -> list[Variant]:
    """As written, all, and each component alone; where these are too many, those that cost most."""
    keys = [cost.key for cost in isolation.costs]
    wanted = [(), tuple(c.key for c in isolation.components), *((key,) for key in keys)]
    found = [isolation.variant(repaired) for repaired in dict.fromkeys(wanted)]
    return [variant for variant in found if variant is not None and variant.curve][:_MOST_LINES]


def write_loss_curves(isolation: Isolation, path: Path) -> bool:
    """Whether there was anything to draw. Takes half a second, for matplotlib."""
    variants = shown_variants(isolation)
    if not variants:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.2), dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for variant, colour, style in zip(variants, _COLOURS, _STYLES, strict=False):
        steps, losses = _thinned(variant.curve, isolation.steps)
        label = _label(variant, isolation)
        # What the repairs are held against lies below, and is to be seen under a line that is the same.
        width = 1.6 if variant.repaired else 3.0
        axes.plot(steps, losses, color=colour, linestyle=style, linewidth=width, label=label)
    axes.set_xlabel("training steps")
    seeds = len(isolation.seeds)
    axes.set_ylabel(f"training loss, mean over {seeds} seed{'s' * (seeds > 1)}")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        title="repaired", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3.2
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(canvas, path)
    return True


def _write(canvas: FigureCanvasAgg, path: Path) -> None:
    """With a palette of its own: a tenth of the bytes, and no difference to be seen in a drawing of a few colours."""
    from PIL import Image  # matplotlib brings it

    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), pixels, "raw", "RGBA", 0, 1)
    drawn.convert("RGB").quantize(128).save(path, "PNG", optimize=True, dpi=(_DPI, _DPI))


def _label(variant: Variant, isolation: Isolation) -> str:
    text = named(variant, isolation)
    return f"{text} (diverged)" if variant.diverged else text


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
