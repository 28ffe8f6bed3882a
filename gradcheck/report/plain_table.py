"""A table in a terminal: numbers to the right, and columns left out where the page is too narrow."""

from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.text import Text

from gradcheck.report.layout import printable
from gradcheck.report.tables import Table, are_numbers

_GAP = "  "
_NARROWEST = 12  # of a first column with longer cells


def without(table: Table, spare: Sequence[str]) -> list[Table]:
    """The table, and those with ever more of the columns in `spare` left out."""
    return [replace(table, hidden=table.hidden | set(spare[:count])) for count in range(len(spare) + 1)]


def plain_table(layouts: Sequence[Table], width: int, styles: Sequence[str] = ()) -> Text:
    """The first of the `layouts` that is no wider than `width`; it says what is missing in it. `styles` are those of the last
    cell in each row."""
    for layout in layouts:
        headings, rows = layout.shown()
        rows = [[printable(cell) for cell in row] for row in rows]
        widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
        excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
        if excess <= 0:
            break
    else:  # a cell too long for the page gets a line of its own, as an option does in a manual page
        widths[0] = max(widths[0] - excess, min(widths[0], _NARROWEST))
    right = are_numbers(rows)
    lines = [_line(row, widths, right) for row in (headings, *rows)]
    lines[0].stylize("bold")
    for line, row, style in zip(lines[1:], rows, styles, strict=False):
        line.stylize(style, len(line) - len(row[-1]))
    out = Text("\n").join(lines)
    missing = [heading for heading in layouts[0].shown()[0] if heading not in headings]
    if missing:
        out.append(f"\n(no room for: {', '.join(missing)})", "dim")
    return out


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Text:
    first, *others = cells
    lead = ""
    if cell_len(first) > widths[0]:
        lead, first = f"{first}\n", ""
    parts = []
    for cell, width, is_number in zip((first, *others), widths, right, strict=True):
        padding = " " * (width - cell_len(cell))
        parts.append(padding + cell if is_number else cell + padding)
    return Text(lead + _GAP.join(parts).rstrip())
