"""Replaced stretches of a text or of a file's bytes, and where a `Location` stands in a text.

Everything outside of the stretches stays as it is, to the byte: a file is never decoded and encoded as a whole.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import AnyStr, Generic

from gradcheck.program.location import Location

_NEWLINE = re.compile(r"\r\n|\r|\n")  # as Python counts lines; form feeds and U+2028 end none


@dataclass(frozen=True, slots=True, order=True)
class Splice(Generic[AnyStr]):
    """`new` in place of everything from `start` up to `end`."""

    start: int
    end: int
    new: AnyStr


class NoSuchPlaceError(ValueError):
    """The text has no such line or column: it is not the text that the location was made for."""


def spliced(text: AnyStr, splices: Sequence[Splice[AnyStr]]) -> AnyStr:
    """`text` with all of the splices, which must not overlap."""
    pieces: list[AnyStr] = []
    position = 0
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        if splice.start < position:
            raise ValueError("splices overlap")
        pieces += [text[position : splice.start], splice.new]
        position = splice.end
    pieces.append(text[position:])
    return text[:0].join(pieces)


def located_splice(text: str, location: Location, replacement: str) -> Splice[str]:
    """The edit of `text`, newlines as they stand in the file, that replaces the span at `location`.

    What the replacement has in common with the old text at its ends is left alone, so that the edit is as
    small as it can be. Its line breaks are written as the file writes its own.
    """
    breaks = list(_NEWLINE.finditer(text))
    start = _offset(text, breaks, location.line, location.column)
    end = _offset(text, breaks, location.end_line, location.end_column)
    if start > end:
        raise NoSuchPlaceError(f"{location} ends before it begins")
    # As its line ends, or the one before it if it is the last.
    newline = breaks[min(location.line, len(breaks)) - 1].group() if breaks else "\n"
    old, new = text[start:end], _NEWLINE.sub(newline, replacement)
    ahead = _common(old, new)
    behind = _common(old[ahead:][::-1], new[ahead:][::-1])
    return Splice(start + ahead, end - behind, new[ahead : len(new) - behind])


def _offset(text: str, breaks: Sequence[re.Match[str]], line: int, column: int) -> int:
    if not 1 <= line <= len(breaks) + 1:
        raise NoSuchPlaceError(f"there is no line {line}")
    start = breaks[line - 2].end() if line > 1 else 0
    end = breaks[line - 1].start() if line <= len(breaks) else len(text)
    if not 1 <= column <= end - start + 1:
        raise NoSuchPlaceError(f"line {line} has no column {column}")
    return start + column - 1


def _common(first: str, second: str) -> int:
    """How many characters the two begin with alike."""
    length = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        length += 1
    return length
