"""Strings of a JSON text that remember where they stand in it, character by character."""

import json
import re
from json import scanner
from typing import Any

# One character of a string literal as JSON may write it; two surrogates in a row are one character.
_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL
)


class PlacedString(str):
    """The value of a literal; `start` and `end` are the offsets of its content, within the quotes."""

    start: int
    end: int


def parse_placed(text: str) -> Any:
    """`json.loads`, with every string that is a value (not a key) as a PlacedString."""
    return _Decoder().decode(text)


def character_offsets(text: str, string: PlacedString) -> list[int]:
    """Where each character of the string starts in `text`, and the end of the last."""
    literal = text[string.start : string.end]
    return [string.start + found.start() for found in _CHARACTER.finditer(literal)] + [string.end]


class _Decoder(json.JSONDecoder):
    """The pure Python scanner takes the function that reads strings from its context, as C's does not."""

    def __init__(self) -> None:
        super().__init__()
        self.parse_string = _placed_string
        self.scan_once = scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def _placed_string(text: str, start: int, strict: bool) -> tuple[PlacedString, int]:
    """`start` is the offset behind the opening quote; the result ends behind the closing one."""
    value, after = json.decoder.scanstring(text, start, strict)  # type: ignore[attr-defined]
    placed = PlacedString(value)
    placed.start, placed.end = start, after - 1
    return placed, after
