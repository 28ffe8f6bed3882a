"""Anybody's text in Markdown: shown as it is, and never read as markup or HTML."""

import re
from collections.abc import Collection, Sequence

from tabulate import tabulate

from gradcheck.base.numbers import ABSENT
from gradcheck.report.layout import printable
from gradcheck.report.tables import Table

_CODE = re.compile(r"(`[^`]+`)")
_MARKUP = re.compile(r"([\\`*_|<>\[\]#~])")


def escaped(text: str) -> str:
    """`text` with nothing in it read as Markdown, outside of its `code`."""
    pieces = _CODE.split(printable(text))
    return "".join(
        piece if number % 2 else _MARKUP.sub(r"\\\1", piece) for number, piece in enumerate(pieces)
    )


def code(text: str) -> str:
    """As code in a table, whatever backticks it holds."""
    shown = printable(text).replace("|", "&#124;")
    longest = _longest_run(shown)
    if not longest:
        return f"`{shown}`"
    fence = "`" * (longest + 1)
    return f"{fence} {shown} {fence}"


def fenced(body: str) -> str:
    """A block of code."""
    fence = "`" * max(3, _longest_run(body) + 1)
    return f"{fence}text\n{body}\n{fence}"


def markdown_table(table: Table, first: Sequence[str] = (), verbatim: Collection[str] = ()) -> str:
    """`first` are what is made of the first cell of each row, as formats; the columns in `verbatim` hold names of the
    person's."""
    headings, rows = table.shown()
    names = [column.name for column in table.columns if column.name not in table.hidden]
    cells = [
        [
            code(cell) if name in verbatim and cell != ABSENT else escaped(cell)
            for name, cell in zip(names, row, strict=True)
        ]
        for row in rows
    ]
    for row, form in zip(cells, first, strict=False):
        row[0] = form.format(row[0])
    return tabulate(cells, [escaped(heading) for heading in headings], tablefmt="pipe", disable_numparse=True)


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
