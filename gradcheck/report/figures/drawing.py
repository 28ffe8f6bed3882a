"""What every figure shares: colours that colour-blind readers can distinguish, marks that remain in a grey print."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradcheck.base.ours import SOFTWARE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. Okabe and K. Ito, Color Universal Design, 2008: distinguishable with every common kind of colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Besides the colour, so that lines are distinguishable in print as well. Cycles of another length than that of the colours:
# the eighth line has the colour of the first and another dash.
LINES = ("solid", "dashed", "dashdot", "dotted", (0, (6, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST_BYTES = 100_000
_DPI = (150, 110, 80, 60, 45)
_WIDTH = 7.5  # inches: a column of an A4 page


@dataclass(frozen=True, slots=True)
class Picture:
    """`table` names the table of the report that it is shown under, `alt` describes it. `reversible`: it says
    the same with black and white exchanged, as on a dark page."""

    name: str
    table: str
    alt: str
    png: bytes
    reversible: bool = True


def new_figure(height: float, width: float = _WIDTH) -> Figure:
    """In inches. Made without pyplot: no window, and nothing that outlives it."""
    from matplotlib.figure import Figure  # takes half a second

    return Figure(figsize=(width, height), layout="constrained")


def labelled(axes: Axes, x: str, y: str = "", title: str = "") -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title, fontsize=10, loc="left")


def png_of(figure: Figure) -> bytes:
    """At the finest resolution that keeps it under 100 KB."""
    data = b""
    for dpi in _DPI:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=dpi, facecolor="white", metadata=SOFTWARE)
        data = file.getvalue()
        if len(data) < MOST_BYTES:
            break
    return data


def shortened(name: str, most: int = 28) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def line_style(number: int) -> dict[str, Any]:
    """Of one line among others."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": LINES[number % len(LINES)]}
