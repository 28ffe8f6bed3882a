"""Edits of a Python file, in its own encoding."""

import codecs
import io
import tokenize
from collections.abc import Iterable
from pathlib import Path

from gradcheck.program.edits.splices import Splice, located_splice
from gradcheck.program.errors import ProgramError
from gradcheck.program.location import Location
from gradcheck.program.script import decode_source
from gradcheck.program.source import shown_path


def script_splices(raw: bytes, edits: Iterable[tuple[Location, str]], path: Path) -> list[Splice[bytes]]:
    """The edits as edits of the file's bytes. `path` is for messages only."""
    decode_source(raw, path)  # says in one line why a file is no Python source
    encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
    mark = len(codecs.BOM_UTF8) if raw.startswith(codecs.BOM_UTF8) else 0
    if mark:
        encoding = "utf-8"
    text = raw[mark:].decode(encoding)
    if text.encode(encoding) != raw[mark:]:
        # Some encodings can write one text in several ways (shift sequences): then nobody can tell which
        # byte a character stands at.
        raise ProgramError(
            f"`{shown_path(path)}` cannot be edited without changing more than the fix: {encoding} writes "
            "the same text in more ways than one",
            "make the change by hand, or save the file as UTF-8",
        )
    splices = []
    for location, replacement in edits:
        splice = located_splice(text, location, replacement)
        start, end = (mark + len(text[:offset].encode(encoding)) for offset in (splice.start, splice.end))
        splices.append(Splice(start, end, _encoded(splice.new, encoding, path)))
    return splices


def _encoded(text: str, encoding: str, path: Path) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise ProgramError(
            f"`{shown_path(path)}` is in {encoding}, which has no {error.object[error.start]!r}",
            "make the change by hand, or save the file as UTF-8",
        ) from None
