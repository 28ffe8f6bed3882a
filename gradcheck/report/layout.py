"""How the lines of a report are laid out: in terminal cells, not characters, and never wider than asked.

A tab, a wide character or a combining accent in the person's line must not push a caret off its expression.
"""

import textwrap
import unicodedata

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from gradcheck.program.location import Location

TAB = "    "
UNCUT = 1_000_000  # the width of a file: nothing is left out of it, and sentences are wrapped as on a page
_PAGE = 100
GUTTER = "bold blue"
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DIFF = {"-": "red", "+": "green"}


def describe(location: Location) -> str:
    """`train.py:65:11`, which terminals and editors make a link of; `day70.ipynb [cell 9] line 65, column 11`."""
    if location.cell is None:
        return f"{printable(location.file)}:{location.line}:{location.column}"
    return f"{printable(location.file)} [cell {location.cell}] line {location.line}, column {location.column}"


def printable(text: str) -> str:
    """`text` without what would move the cursor, colour the terminal or turn the order of the characters around: it
    comes from anybody's file."""
    return _shown(text.replace("\t", TAB).replace("\n", " "))


def printable_lines(text: str) -> str:
    """The same, of several lines."""
    return "\n".join(_shown(line.replace("\t", TAB)) for line in text.split("\n"))


def _shown(line: str) -> str:
    return "".join("\N{REPLACEMENT CHARACTER}" if _moves(c) else c for c in line)


def _moves(character: str) -> bool:
    if character in _DIRECTIONS:
        return True
    return not character.isprintable() and unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def page(width: int) -> int:
    """How far a sentence may reach."""
    return _PAGE if width > UNCUT // 2 else width


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """`text` in lines, further ones indented; names are never broken."""
    return textwrap.wrap(
        text, max(page(width), 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def paragraph(text: str, width: int, style: str = "") -> Text:
    """A sentence, its further lines indented."""
    return Text("\n".join(wrapped(printable(text), width, "  ")), style)


def diff_style(line: str) -> str:
    """The colour of a line of a diff."""
    return _DIFF.get(line[:1], "")


def window(text: str, start: int, length: int, room: int) -> tuple[str, int, int]:
    """The part of an overlong line that holds the start of the span."""
    if cell_len(text) <= room:
        return text, start, length
    if start + length > room - 3 and start > room // 2:
        dropped = first_cells(text, start - room // 4)
        text, start = "..." + text[len(dropped) :], start - cell_len(dropped) + 3
    if cell_len(text) > room:
        text = set_cell_size(text, room - 3) + "..."
        length = min(length, room - 3 - start)
    return text, start, length


def first_cells(text: str, cells: int) -> str:
    """The characters that begin in the first cells."""
    taken = ""
    for character in text:
        if cell_len(taken) >= cells:
            break
        taken += character
    return taken
