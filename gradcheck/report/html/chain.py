"""The chain of a backward pass as a drawing: from the loss down, each gradient below those it is computed from.

The eye finds where the first wrong one is, and what only follows from it. Shape, sign and colour all say the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from gradcheck.judge.verdict import PassResult, Verdict
from gradcheck.report import sentences
from gradcheck.report.contents import ReportContents
from gradcheck.report.layout import printable
from gradcheck.report.table import SIGNS, short_place

_MOST = 300  # gradients: no eye follows more, and the table has them all
_LETTER, _SMALL = 7.3, 6.2  # pixels, of the two sizes of text
_LONGEST = 26  # letters
_HEIGHT, _GAP, _STEP, _EDGE = 38.0, 18.0, 62.0, 8.0


@dataclass(slots=True)
class _Node:
    lines: tuple[str, str]
    kind: str
    words: str  # what a screen reader says, and a tooltip shows
    link: str = ""
    above: list[_Node] = field(default_factory=list)
    below: list[_Node] = field(default_factory=list)
    depth: int = 0
    left: float = 0.0

    @property
    def width(self) -> float:
        first, second = self.lines
        return max(_LETTER * len(first), _SMALL * len(second)) + 20

    @property
    def top(self) -> float:
        return _EDGE + self.depth * _STEP

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


def drawing(report: ReportContents, step: PassResult, anchor: str = "") -> str:
    """As an SVG element; empty where there is nothing to see. With `anchor` each gradient is a link to `#{anchor}{n}`,
    where `n` is its number in the pass."""
    if not 2 <= len(step.gradients) <= _MOST:
        return ""
    nodes = _nodes(report, step, anchor)
    _place(nodes)
    width = max(node.left + node.width for node in nodes) + _EDGE
    height = max(node.top for node in nodes) + _HEIGHT + _EDGE
    return "".join(
        (
            f'<svg class="chain" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
            f'role="img" aria-label="{escape(_summary(step))}">\n',
            *(_edge(above, node) for node in nodes for above in node.above),
            *(_box(node) for node in nodes),
            "</svg>\n",
        )
    )


def _summary(step: PassResult) -> str:
    begins = [printable(row.name) for row in step.gradients if row.verdict is Verdict.INTRODUCED]
    if not begins:
        return "The gradients of the backward pass, from the loss down."
    return f"The gradients of the backward pass, from the loss down; what is wrong begins at {', '.join(begins)}."


def _nodes(report: ReportContents, step: PassResult, anchor: str) -> list[_Node]:
    places = [report.place_to_edit(row) for row in step.gradients]
    files = [place.file for place in places]
    main = max(set(files), key=files.count)
    loss = _Node((_short(step.loss), "the loss"), "loss", printable(step.loss))
    nodes, known = [loss], dict[str, _Node]()
    for number, (row, place) in enumerate(zip(step.gradients, places, strict=True)):
        name = f"{SIGNS[row.verdict]} {_short(row.name)}"
        node = _Node(
            (
                name,
                f"of {_short(row.of)}, {short_place(place, main)}" if row.of else short_place(place, main),
            ),
            row.verdict.value,
            sentences.gradient(row),
            anchor and f"{anchor}{number}",
        )
        node.above = [known[name] for name in dict.fromkeys(row.upstream) if name in known] or [loss]
        for above in node.above:
            above.below.append(node)
        known[row.name] = node
        nodes.append(node)
    return nodes


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def _place(nodes: Sequence[_Node]) -> None:
    """What goes on stands left, below what it comes from; what ends, as the gradients of parameters do, stands right."""
    levels: dict[int, list[_Node]] = {}
    for node in nodes:  # those above come first
        node.depth = max((above.depth + 1 for above in node.above), default=0)
        levels.setdefault(node.depth, []).append(node)
    for depth in sorted(levels):
        level = sorted(levels[depth], key=lambda node: (not node.below, _wanted(node)))
        free = _EDGE
        for node in level:
            node.left = max(free, _wanted(node) - node.width / 2 if node.below else free)
            free = node.left + node.width + _GAP


def _wanted(node: _Node) -> float:
    return sum(above.middle for above in node.above) / len(node.above) if node.above else 0.0


def _edge(above: _Node, node: _Node) -> str:
    x, y = above.middle, above.top + _HEIGHT
    bend = (node.top - y) / 2
    path = f"M{x:.1f} {y:.1f}C{x:.1f} {y + bend:.1f} {node.middle:.1f} {node.top - bend:.1f} {node.middle:.1f} {node.top:.1f}"
    return f'<path class="edge {node.kind}" d="{path}"/>\n'


def _box(node: _Node) -> str:
    x, y, w, middle = node.left, node.top, node.width, node.middle
    first, second = map(escape, node.lines)
    shape = "".join(_outline(node.kind, x, y, w))
    text = (
        f'<text x="{middle:.1f}" y="{y + 16:.1f}">{first}</text>'
        f'<text class="small" x="{middle:.1f}" y="{y + 30:.1f}">{second}</text>'
    )
    drawn = f'<g class="node {node.kind}"><title>{escape(node.words)}</title>{shape}{text}</g>'
    return (f'<a href="#{node.link}">{drawn}</a>' if node.link else drawn) + "\n"


def _outline(kind: str, x: float, y: float, w: float) -> Iterator[str]:
    """Corners cut off where a fault begins or is made good; round where all is right."""
    if kind in (Verdict.INTRODUCED, Verdict.COMPENSATED):
        c, r, b = 9, x + w, y + _HEIGHT
        points = (
            (x + c, y), (r - c, y), (r, y + c), (r, b - c), (r - c, b), (x + c, b), (x, b - c), (x, y + c),
        )  # fmt: skip
        yield f'<polygon points="{" ".join(f"{px:.1f},{py:.1f}" for px, py in points)}"/>'
        return
    radius = 3 if kind == Verdict.INHERITED else 12
    yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{_HEIGHT:.0f}" rx="{radius}"/>'
