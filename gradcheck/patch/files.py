"""The plan applied to the bytes of its files; nothing is written here."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from gradcheck.base.errors import InternalError
from gradcheck.patch.plan import PlannedFix
from gradcheck.program.edits.spans import splices
from gradcheck.program.edits.splices import NoSuchPlaceError, Splice, spliced
from gradcheck.program.errors import ProgramError
from gradcheck.program.location import Location
from gradcheck.program.magics import strip_magics
from gradcheck.program.notebook import parse_notebook
from gradcheck.program.reading.tree import parses
from gradcheck.program.script import decode_source, read_bytes


@dataclass(frozen=True, slots=True)
class PatchedFile:
    shown: str  # the path as the person knows it
    path: Path
    before: bytes
    splices: tuple[Splice[bytes], ...]  # in the order of the file
    fixes: tuple[PlannedFix, ...]

    @property
    def after(self) -> bytes:
        return spliced(self.before, self.splices)

    @property
    def is_notebook(self) -> bool:
        return self.fixes[0].location.cell is not None

    def texts(self, raw: bytes) -> dict[int | None, str]:
        """The source in `raw`, by code cell; a script is all one piece."""
        if self.is_notebook:
            return dict(enumerate(parse_notebook(raw, self.path).cells, start=1))
        return {None: decode_source(raw, self.path)}


def patched_files(fixes: Sequence[PlannedFix]) -> list[PatchedFile]:
    """Raises ProgramError if a file is not what the report was made from."""
    return [_patched(file, tuple(group)) for file, group in groupby(fixes, lambda f: f.location.file)]


def _patched(file: str, fixes: tuple[PlannedFix, ...]) -> PatchedFile:
    path = Path(file)
    raw = read_bytes(path)
    patched = PatchedFile(file, path, raw, (), fixes)
    texts = patched.texts(raw)
    for planned in fixes:
        if not _unchanged(planned, texts.get(planned.location.cell)):
            raise _changed(file, planned.location)
    try:
        found = splices(raw, [(f.location, f.fix.replacement) for f in fixes], path)
    except NoSuchPlaceError:
        raise _changed(file, fixes[0].location) from None
    patched = PatchedFile(file, path, raw, tuple(sorted(found)), fixes)
    _check_syntax(patched, texts)
    return patched


def _unchanged(planned: PlannedFix, text: str | None) -> bool:
    place = planned.location
    return text is not None and planned.old_lines == tuple(text.split("\n")[place.line - 1 : place.end_line])


def _changed(file: str, place: Location) -> ProgramError:
    cell = "" if place.cell is None else f" of cell {place.cell}"
    return ProgramError(
        f"`{file}` has changed since it was run: line {place.line}{cell} is different",
        "save it, and run the command again",
    )


def _check_syntax(patched: PatchedFile, before: dict[int | None, str]) -> None:
    """A fix that was proved on values could still have been put into the text wrongly: that is our fault."""
    after = patched.texts(patched.after)
    for cell in dict.fromkeys(planned.location.cell for planned in patched.fixes):
        if _parses(before[cell], cell) and not _parses(after[cell], cell):
            raise InternalError(f"a fix of `{patched.shown}` is not valid Python", after[cell])


def _parses(text: str, cell: int | None) -> bool:
    return parses(text if cell is None else strip_magics(text, cell)[0])
