"""A table of data in a terminal: numbers to the right, and columns left out where the page is too narrow."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from gradcheck.report.layout import printable
from gradcheck.report.tables import Table

_GAP = "  "


def plain_table(table: Table, width: int, spare: Sequence[str] = ()) -> Text:
    """`spare` names the columns to leave out first where the table is wider than `width`; it says that they are."""
    missing: list[str] = []
    for name in (None, *spare):
        if name is not None:
            missing += [column.heading for column in table.columns if column.name == name]
        dropped = frozenset(spare[: spare.index(name) + 1]) if name is not None else frozenset()
        shown = Table(table.name, table.title, table.columns, table.rows, table.hidden | dropped)
        headings, rows = shown.shown()
        rows = [[printable(cell) for cell in row] for row in rows]
        widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
        if sum(widths) + len(_GAP) * (len(widths) - 1) <= width:
            break
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(headings))]
    lines = [Text(_line(headings, widths, right), "bold"), *(Text(_line(row, widths, right)) for row in rows)]
    out = Text("\n").join(lines)
    hidden = [heading for heading in dict.fromkeys(missing) if heading not in headings]
    if hidden:
        out.append(f"\n(no room for: {', '.join(hidden)})", "dim")
    return out


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for cell, width, is_number in zip(cells, widths, right, strict=True):
        padding = " " * (width - cell_len(cell))
        parts.append(padding + cell if is_number else cell + padding)
    return _GAP.join(parts).rstrip()


def _is_number(cell: str) -> bool:
    return (
        cell == "-" or cell.lstrip("-").replace(".", "", 1).replace("e", "", 1).replace("-", "", 1).isdigit()
    )
