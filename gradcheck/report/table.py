"""The table of gradients: its cells, the same in every renderer, and its layout in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from gradcheck.base import numbers
from gradcheck.judge.verdict import GradientResult, Verdict
from gradcheck.program.location import Location
from gradcheck.report.layout import printable

STYLES = {
    Verdict.CORRECT: "green",
    Verdict.INTRODUCED: "bold red",
    Verdict.INHERITED: "yellow",
    Verdict.COMPENSATED: "bold magenta",
    Verdict.UNOBSERVABLE: "dim",
    Verdict.UNCHECKED: "dim",
}
SIGNS = {
    Verdict.CORRECT: "✓",
    Verdict.INTRODUCED: "✗",
    Verdict.INHERITED: "↓",
    Verdict.COMPENSATED: "⇄",
    Verdict.UNOBSERVABLE: "○",
    Verdict.UNCHECKED: "?",
}
_GAP = "  "
_LEFT = {"name", "of", "worst element", "verdict"}
_AT_FAULT = (Verdict.INTRODUCED, Verdict.COMPENSATED)


@dataclass(frozen=True, slots=True)
class Table:
    """Headings, and one row of cells per gradient."""

    headings: list[str]
    rows: list[list[str]]

    def without(self, *dropped: str) -> Table:
        kept = [i for i, heading in enumerate(self.headings) if heading not in dropped]
        return Table([self.headings[i] for i in kept], [[row[i] for i in kept] for row in self.rows])

    @property
    def widths(self) -> list[int]:
        columns = zip(self.headings, *self.rows, strict=True)
        return [max(map(cell_len, column)) for column in columns]

    @property
    def width(self) -> int:
        return sum(self.widths) + len(_GAP) * (len(self.headings) - 1)


def gradient_table(gradients: Sequence[GradientResult], worst_values: bool = True) -> Table:
    """All columns; without `worst_values` the worst element is given by its index alone."""
    files = Counter(row.location.file for row in gradients)
    main = files.most_common(1)[0][0] if files else ""
    cells = any(row.location.cell is not None for row in gradients)
    headings = ["name", "of", "cell:line" if cells else "line"]
    headings += ["total", "local", "cosine", "worst element", "verdict"]
    rows = [
        [
            printable(row.name) + (f" ×{row.occurrences}" if row.occurrences > 1 else ""),
            printable(row.of or numbers.ABSENT),
            short_place(row.location, main),
            numbers.error(row.total_error),
            numbers.error(row.local_error),
            numbers.value(None if row.verdict is Verdict.UNOBSERVABLE else row.cosine, 2),
            _worst(row, worst_values),
            row.verdict.value,
        ]
        for row in gradients
    ]
    return Table(headings, rows)


def short_place(location: Location, main: str) -> str:
    """`9:65` for line 65 of cell 9, `65` in a script; the file only where it is another one."""
    place = f"{location.line}" if location.cell is None else f"{location.cell}:{location.line}"
    return place if location.file == main else f"{printable(location.file)}:{place}"


def terminal_table(gradients: Sequence[GradientResult], width: int) -> Text:
    """The table within `width` cells: the columns that explain least go first, and it says that they went."""
    full = gradient_table(gradients)
    brief = gradient_table(gradients, worst_values=False)
    layouts = (full, brief, brief.without("worst element"), brief.without("worst element", "cosine"))
    chosen = next((layout for layout in layouts if layout.width <= width), layouts[-1])
    out = _laid_out(chosen, [row.verdict for row in gradients], width)
    missing = [heading for heading in full.headings if heading not in chosen.headings]
    if missing:
        out.append(f"\n({' and '.join(missing)}: at {brief.width} columns)", "dim")
    return out


def _laid_out(table: Table, verdicts: Sequence[Verdict], width: int) -> Text:
    widths = table.widths
    # A name too long for the page gets a line of its own, as an option does in a manual page.
    widths[0] = max(min(widths[0], widths[0] + width - table.width), 12)
    out = Text()
    out.append_text(_line(table.headings, widths, table.headings, "bold"))
    for cells, verdict in zip(table.rows, verdicts, strict=True):
        out.append("\n")
        if cell_len(cells[0]) > widths[0]:
            out.append(cells[0] + "\n")
            cells = ["", *cells[1:]]
        out.append_text(_line(cells, widths, table.headings, "", STYLES[verdict]))
    return out


def _line(
    cells: Sequence[str], widths: Sequence[int], headings: Sequence[str], style: str, last_style: str = ""
) -> Text:
    parts = [_padded(*item) for item in zip(cells, widths, headings, strict=True)]
    line = Text(_GAP.join(parts[:-1]) + _GAP, style)
    return line.append(parts[-1].rstrip(), last_style or style)


def _padded(cell: str, width: int, heading: str) -> str:
    padding = " " * (width - cell_len(cell))
    return cell + padding if heading in _LEFT else padding + cell


def _worst(row: GradientResult, values: bool) -> str:
    if row.worst is None or row.verdict is Verdict.UNOBSERVABLE:
        return numbers.ABSENT
    where = numbers.element(row.worst.index)
    if not values or row.verdict not in _AT_FAULT:  # where nothing is at fault the values show rounding alone
        return where
    expected, found = numbers.distinct(row.worst.expected, row.worst.found)
    return f"{where} {found}, not {expected}"
