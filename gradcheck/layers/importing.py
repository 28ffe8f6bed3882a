"""The module in which a layer is defined: a file, by its path or as part of its package, or a notebook."""

import ast
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from gradcheck.program.entry import import_target_module
from gradcheck.program.errors import ProgramError
from gradcheck.program.faults import describe
from gradcheck.program.live import LiveSources
from gradcheck.program.own_packages import roots_of
from gradcheck.program.program import load
from gradcheck.program.reading.tree import parse
from gradcheck.program.script import read_source
from gradcheck.program.scripted import scripted_as_python
from gradcheck.program.source import SourceUnit, shown_path
from gradcheck.program.target import Target, TargetKind


@dataclass(frozen=True, slots=True)
class Imported:
    module: ModuleType
    files: tuple[str, ...]  # what its code is from: more than one for a notebook


@contextmanager
def imported(target: Target, cwd: str | None) -> Iterator[Imported]:
    """The module, imported and not run as a script: code under `if __name__ == "__main__"` does not run. As for a
    program that is run, its folder comes first, and no window opens. Raises ProgramError."""
    folder = Path(cwd) if cwd else target.path.parent if target.path else Path.cwd()
    entry = str(target.path.parent if target.path else folder)
    before, paths = Path.cwd(), list(sys.path)
    sys.path.insert(0, entry)
    sys.path += roots_of(target.path) if target.path is not None else []
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.chdir(folder)
    sources = LiveSources()
    if target.path is not None:
        sources.include(str(target.path))
    try:
        with scripted_as_python(sources.is_user):
            yield _imported(target, cwd)
    finally:
        os.chdir(before)
        sys.path[:] = paths


def _imported(target: Target, cwd: str | None) -> Imported:
    path = target.path
    try:
        if path is None:
            return Imported(import_target_module(target), ())
        if path.suffix == ".ipynb":
            return _of_notebook(target, cwd)
        depth = _relative_depth(path)
        if depth:
            return Imported(_in_package(path, depth), (str(path),))
        name = path.stem if path.stem not in sys.modules else f"_layer_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return Imported(module, (str(path),))
    except ProgramError:
        raise
    except (Exception, SystemExit) as error:
        raise _import_error(error, target) from None


def _relative_depth(path: Path) -> int:
    """How many folders up its relative imports reach, its own counting as one."""
    try:
        tree = parse(read_source(path))
    except (SyntaxError, ProgramError):
        return 0
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)


def _in_package(path: Path, depth: int) -> ModuleType:
    """The module by its dotted name, so that its relative imports work, from the folder its package lies in."""
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").exists() or len(parts) <= depth:
        parts.insert(0, folder.name)
        folder = folder.parent
    sys.path.insert(0, str(folder))
    return importlib.import_module(".".join(parts))


def _of_notebook(target: Target, cwd: str | None) -> Imported:
    """All of its cells, one after the other; one that raises is passed over, as its user would."""
    assert target.path is not None
    program = load(Target(target.text, TargetKind.NOTEBOOK, target.path), cwd)
    module = ModuleType(target.path.stem)
    sys.modules.setdefault(module.__name__, module)
    for piece in program.pieces:
        with suppress(Exception):
            if piece.code is not None:
                exec(piece.code, vars(module))
    return Imported(module, tuple(piece.unit.filename for piece in program.pieces))


def _import_error(error: BaseException, target: Target) -> ProgramError:
    sources = LiveSources()
    if target.path is not None:
        sources.include(str(target.path))
        unit = SourceUnit(str(target.path), shown_path(target.path), read_source(target.path))
    else:
        unit = SourceUnit(target.module, target.module, "")
    fault = describe(error, unit, sources)
    where = f" at {fault.location}" if fault.location else ""
    excerpt = f"{fault.location.line} | {fault.text}" if fault.location and fault.text else ""
    hint = 'it is imported for its layer: what trains belongs under `if __name__ == "__main__":`'
    return ProgramError(f"importing it raised{where}: {fault}", hint, excerpt)
