"""Edits of a notebook's JSON, inside the string literals that hold the lines of a cell.

Nothing is parsed and written again: indentation, the order of keys, how characters are escaped and all
outputs stay as they are.
"""

import codecs
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gradcheck.program.edits.json_strings import PlacedString, character_offsets, parse_placed
from gradcheck.program.edits.splices import NoSuchPlaceError, Splice, located_splice
from gradcheck.program.errors import ProgramError
from gradcheck.program.location import Location
from gradcheck.program.notebook import cell_source, code_cells, parse_notebook
from gradcheck.program.source import shown_path

_WIDEST_INDENT = 200


def notebook_splices(raw: bytes, edits: Iterable[tuple[Location, str]], path: Path) -> list[Splice[bytes]]:
    """The edits as edits of the file's bytes. `path` is for messages only."""
    parse_notebook(raw, path)  # says in one line why a file is no notebook
    mark = len(codecs.BOM_UTF8) if raw.startswith(codecs.BOM_UTF8) else 0
    text = raw[mark:].decode("utf-8")
    sources = _sources(text, path)
    splices = []
    for location, replacement in edits:
        number = location.cell or 0
        cell = _cell_text(text, sources[number - 1]) if 1 <= number <= len(sources) else None
        if cell is None:
            raise NoSuchPlaceError(f"there is no text in code cell {number}")
        splice = cell.edit(text, location, replacement)
        start, end = (mark + len(text[:offset].encode()) for offset in (splice.start, splice.end))
        splices.append(Splice(start, end, splice.new.encode()))
    return splices


@dataclass(frozen=True, slots=True)
class _CellText:
    """The text of a cell, and where each of its characters starts and ends in the JSON."""

    text: str
    starts: list[int]
    ends: list[int]
    last: int  # the end of the last literal
    separator: str | None  # what stands between the contents of two lines: `",\\n    "`; None for one string

    def edit(self, json_text: str, location: Location, replacement: str) -> Splice[str]:
        splice = located_splice(self.text, location, replacement)
        start = self.starts[splice.start] if splice.start < len(self.starts) else self.last
        end = self.ends[splice.end - 1] if splice.end > splice.start else start
        lines = splice.new.split("\n")
        pieces = [line + "\n" for line in lines[:-1]] + lines[-1:]
        if self.separator is None:
            pieces = ["".join(pieces)]
        elif len(pieces) > 1 and not pieces[-1] and json_text[end] == '"':
            del pieces[-1]  # the literal ends here: an empty line would be one element too many
        # A file that keeps to ASCII keeps to it; elsewhere characters stand for themselves.
        escaped = [json.dumps(piece, ensure_ascii=json_text.isascii())[1:-1] for piece in pieces]
        return Splice(start, end, (self.separator or "").join(escaped))


def _sources(text: str, path: Path) -> list[object]:
    try:
        data = parse_placed(text)
    except RecursionError:  # the scanner in Python nests less deeply than the one in C
        raise ProgramError(f"`{shown_path(path)}` cannot be edited: its JSON is nested too deeply") from None
    return [cell_source(cell) for cell in code_cells(data) or []]


def _cell_text(text: str, source: object) -> _CellText | None:
    """None for a cell without any string to edit."""
    pieces = source if isinstance(source, list) else [source]
    literals = [piece for piece in pieces if isinstance(piece, PlacedString)]
    if not literals or len(literals) < len(pieces):
        return None
    starts: list[int] = []
    ends: list[int] = []
    for literal in literals:
        offsets = character_offsets(text, literal)
        starts += offsets[:-1]
        ends += offsets[1:]
    separator = _separator(text, literals) if isinstance(source, list) else None
    return _CellText("".join(literals), starts, ends, literals[-1].end, separator)


def _separator(text: str, literals: list[PlacedString]) -> str:
    """What is written between two lines of this cell, its indentation included."""
    if len(literals) > 1:
        return text[literals[0].end : literals[1].start]
    quote = literals[0].start - 1
    before = text[max(quote - _WIDEST_INDENT, 0) : quote]
    return f'",{before[len(before.rstrip()) :]}"'
