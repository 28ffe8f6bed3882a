"""The sources of a program that runs already: files that were imported by others, cells typed a moment ago."""

import inspect
import linecache
import re
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from gradcheck.program.source import SourceMap, SourceUnit, shown_path

# Cells, doctests and what is typed at a prompt have no file; Python's line cache knows their text.
_TYPED = re.compile(r"^<(?:doctest |ipython-input-|python-input-|stdin>)")
_KERNEL_CELL = re.compile(r"[/\\]ipykernel_\d+[/\\]\d+\.py$")


def parameters_taken(function: Any) -> list[inspect.Parameter] | None:
    """By a function; None where they are not known, as of a builtin."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def parameters_required(function: Any) -> list[str] | None:
    """Those that it cannot be called without."""
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if (taken := parameters_taken(function)) is None:
        return None
    return [p.name for p in taken if p.default is p.empty and p.kind not in optional]


class LiveSources(SourceMap):
    """The person's own code, and whatever they point at, though it were installed like a library."""

    def include(self, *filenames: str | None) -> None:
        """These files are theirs."""
        self._is_user.update(dict.fromkeys(filter(None, filenames), True))

    def is_user(self, filename: str) -> bool:
        known = self._is_user.get(filename)
        if known is None and _TYPED.match(filename):
            known = self._is_user[filename] = True
        return super().is_user(filename) if known is None else known

    def unit(self, filename: str) -> SourceUnit | None:
        found = self.units.get(filename)
        if found is None and self.is_user(filename):
            if _TYPED.match(filename) or _KERNEL_CELL.search(filename) or not Path(filename).exists():
                found = self._typed(filename)
            else:
                found = super().unit(filename)
        return found

    def _typed(self, filename: str) -> SourceUnit | None:
        lines = linecache.getlines(filename)
        if not lines:
            return None
        cell = cell_number(filename)
        shown = "notebook" if cell is not None else filename
        unit = self.units[filename] = SourceUnit(filename, shown, "".join(lines), cell)
        return unit


def name_of(thing: object) -> str:
    """`train_step`, `Linear.forward`, or the class of an object."""
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    return str(name).replace("<locals>.", "")


def file_of(thing: Any) -> str | None:
    """The file of the code behind a callable or an object, None if it is not Python's."""
    while hasattr(thing, "func"):  # functools.partial
        thing = thing.func
    try:
        code = inspect.unwrap(thing).__code__
    except (AttributeError, ValueError):
        pass
    else:
        return code.co_filename if isinstance(code, CodeType) else None
    kind = thing if isinstance(thing, type) else type(thing)
    module = sys.modules.get(kind.__module__)
    try:
        return inspect.getsourcefile(kind)
    except (TypeError, OSError):
        return getattr(module, "__file__", None)


def place_of(frame: FrameType) -> str:
    """`train.py:12`: what a report on the code at this line is about."""
    filename = frame.f_code.co_filename
    cell = cell_number(filename)
    if cell is not None:
        return f"cell {cell}"
    return f"{filename if filename.startswith('<') else shown_path(Path(filename))}:{frame.f_lineno}"


def cell_number(filename: str) -> int | None:
    """The number of a notebook's cell as it is shown beside it: `In [3]`."""
    # Where it is defined: `IPython.get_ipython` may be a stand-in of a program that ran in this process.
    ipython = sys.modules.get("IPython.core.getipython")
    shell = ipython.get_ipython() if ipython is not None else None
    names = getattr(getattr(shell, "compile", None), "_filename_map", None)
    number = names.get(filename) if isinstance(names, dict) else None
    return number if isinstance(number, int) else None
