"""Source units: the pieces of text a program is made of, and what distinguishes them from library code.

Everything later that says "the person's own line" asks a `SourceMap`.
"""

import os
import sys
import sysconfig
import tokenize
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from gradcheck.program.location import Location
from gradcheck.program.loops import LoopTable
from gradcheck.program.reading.tree import Tree, tree_of


@dataclass(frozen=True)
class SourceUnit:
    """One compiled piece: a script, an imported module of the person's, or one code cell.

    `filename` is the `co_filename` its code objects carry; `text` is what the person wrote; `file` is the
    path shown to them. Line n of `text` is line n of the compiled code: whatever is rewritten before
    compiling (magics, loop headers) keeps every line and column of the rest. `code` is `text` with its magics
    blanked out, where it has any: what can be parsed.
    """

    filename: str
    file: str
    text: str
    cell: int | None = None
    without_magics: str | None = None

    @property
    def code(self) -> str:
        return self.text if self.without_magics is None else self.without_magics

    @cached_property
    def tree(self) -> Tree:
        """Parsed at the first use, and never again."""
        return tree_of(self.code, self.filename)

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")  # as Python counts: splitlines() also breaks at form feeds and U+2028

    def line_text(self, line: int) -> str:
        lines = self._lines
        return lines[line - 1] if 1 <= line <= len(lines) else ""


@dataclass
class SourceMap:
    """All source units of one run, keyed by `co_filename`, and the loops that are watched in them."""

    units: dict[str, SourceUnit] = field(default_factory=dict)
    loops: LoopTable = field(default_factory=LoopTable)
    _is_user: dict[str, bool] = field(default_factory=dict)

    def add(self, unit: SourceUnit) -> None:
        self.units[unit.filename] = unit
        self._is_user[unit.filename] = True

    def is_user(self, filename: str) -> bool:
        """Whether code with this `co_filename` was written by the person, not by a library or by us."""
        known = self._is_user.get(filename)
        if known is None:
            known = self._is_user[filename] = not is_library(filename)
        return known

    def unit(self, filename: str) -> SourceUnit | None:
        """The unit for a `co_filename`; a file of the person's that was not announced is read from disk."""
        found = self.units.get(filename)
        if found is None and self.is_user(filename):
            try:
                with tokenize.open(filename) as file:  # honours a coding cookie
                    text = file.read()
            except (OSError, SyntaxError, UnicodeDecodeError):
                return None
            found = self.units[filename] = SourceUnit(filename, shown_path(Path(filename)), text)
        return found

    def location(self, filename: str, line: int, end_line: int, column: int, end_column: int) -> Location:
        """A `Location` from Python's own positions: lines from 1, columns from 0 in bytes of UTF-8."""
        unit = self.unit(filename)
        if unit is None:
            return Location(filename, None, line, end_line, column + 1, end_column + 1)
        column = _characters(unit.line_text(line), column)
        end_column = _characters(unit.line_text(end_line), end_column)
        return Location(unit.file, unit.cell, line, end_line, column + 1, end_column + 1)


def shown_path(path: Path) -> str:
    """`path` relative to the directory the tool was started in, if it lies below it."""
    try:
        return str(path.resolve().relative_to(_STARTED_IN))
    except (ValueError, OSError):
        return str(path)


def is_library(filename: str) -> bool:
    """Whether a file belongs to Python, to an installed package or to us."""
    if filename.startswith("<") or not filename.endswith((".py", ".ipynb")):
        return True
    # A relative one is another file in another directory.
    return _is_installed(filename) if os.path.isabs(filename) else _is_installed.__wrapped__(filename)


# To follow the links of a path takes long, and every step that is watched asks for all its callers.
@lru_cache(10_000)
def _is_installed(filename: str) -> bool:
    try:
        resolved = str(Path(filename).resolve())
    except OSError:
        return True
    return resolved.startswith(_LIBRARY_ROOTS) or not _PACKAGES.isdisjoint(Path(resolved).parts)


def _characters(line: str, offset: int) -> int:
    """How many characters the first `offset` bytes of the line's UTF-8 are."""
    return offset if line.isascii() else len(line.encode()[:offset].decode(errors="ignore"))


def _started_in() -> Path:
    # Kept from the import on: the program changes the current directory, and may delete it.
    try:
        return Path.cwd()
    except OSError:
        return Path("/")


_STARTED_IN = _started_in()
OURS = str(Path(__file__).parent.parent) + os.sep  # what every file of ours begins with
_PACKAGES = {"site-packages", "dist-packages"}

_LIBRARY_ROOTS = tuple(
    {
        str(Path(p).resolve()) + os.sep
        for p in (
            os.path.join(sys.base_prefix, "lib"),
            sysconfig.get_path("stdlib"),
            sysconfig.get_path("platstdlib"),
            sysconfig.get_path("purelib"),
            sysconfig.get_path("platlib"),
            str(Path(__file__).resolve().parent.parent),
        )
        if p
    }
)
