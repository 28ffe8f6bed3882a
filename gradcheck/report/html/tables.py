"""Anybody's words in HTML: a sentence, any table."""

from collections.abc import Callable, Iterator, Sequence
from html import escape

from gradcheck.report.layout import printable
from gradcheck.report.tables import Table, are_numbers

_LONG = 40  # characters: a sentence, which may take several lines


def table_of(
    table: Table, attributes: Sequence[str] = (), special: Callable[[int, str, str], str] | None = None
) -> Iterator[str]:
    """`attributes` are those of each row; `special` is given the number of the row, the name of the column and the cell,
    and makes HTML of it, or nothing where the cell is prose."""
    headings, rows = table.shown()
    names = [column.name for column in table.columns if column.name not in table.hidden]
    right = are_numbers(rows)
    yield '<div class="scroll"><table><thead><tr>'
    for heading, is_number in zip(headings, right, strict=True):
        yield f'<th scope="col" class="{"right" if is_number else "left"}">{escape(heading)}</th>'
    yield "</tr></thead><tbody>\n"
    for number, row in enumerate(rows):
        yield f"<tr{attributes[number] if attributes else ''}>"
        for name, cell, is_number in zip(names, row, right, strict=True):
            kind = "right" if is_number else "left long" if len(cell) > _LONG else "left"
            shown = (special and special(number, name, cell)) or prose(cell)
            yield f'<td class="{kind}">{shown}</td>'
        yield "</tr>\n"
    yield "</tbody></table></div>\n"


def prose(text: str) -> str:
    """With text in backticks as code."""
    pieces = printable(text).split("`")
    if len(pieces) % 2 == 0:  # one is not closed
        return escape(printable(text))
    return "".join(f"<code>{escape(p)}</code>" if i % 2 else escape(p) for i, p in enumerate(pieces))
