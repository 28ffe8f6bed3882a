"""Edits of a script or a notebook, given as bytes: nothing is read or written, and no report is known."""

from collections.abc import Sequence
from pathlib import Path

from gradcheck.program.edits.notebook import notebook_splices
from gradcheck.program.edits.script import script_splices
from gradcheck.program.edits.splices import Splice, spliced
from gradcheck.program.location import Location


def edited(raw: bytes, edits: Sequence[tuple[Location, str]], path: Path = Path("the file")) -> bytes:
    """`raw` with each span replaced; everything else stays as it is, byte for byte."""
    return spliced(raw, splices(raw, edits, path))


def splices(raw: bytes, edits: Sequence[tuple[Location, str]], path: Path) -> list[Splice[bytes]]:
    in_cells = any(location.cell is not None for location, _ in edits)
    return notebook_splices(raw, edits, path) if in_cells else script_splices(raw, edits, path)
