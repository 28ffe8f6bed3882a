"""The files a target is made of, found by reading and not by running: its own, and those that it imports."""

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gradcheck.program.errors import ProgramError
from gradcheck.program.program import load
from gradcheck.program.reading.tree import parse
from gradcheck.program.script import read_source
from gradcheck.program.source import is_library
from gradcheck.program.target import parse_target

_LONGEST_FOLDER = 200


def own_files(target: str, cwd: str | None) -> set[Path]:
    """As resolved paths. A name that only comes to be when the program runs is not followed."""
    program = load(parse_target(target, cwd), cwd)
    known: set[Path] = set()
    folders = {program.path_entry, program.directory, Path.cwd()}
    pending: list[tuple[ast.AST, Path]] = []
    if program.target.path is not None:
        known.add(program.target.path.resolve())
        pending = [(piece.unit.tree.module, program.target.path) for piece in program.pieces]
    else:
        parts = program.target.module.split(".")
        _take(_modules_at(folders, parts), known, pending)
    while pending:
        tree, file = pending.pop()
        folders |= _folders_named(tree, file.parent)
        for node in ast.walk(tree):
            _take(_imported(node, file, folders), known, pending)
    return known


def _take(found: Iterator[Path], known: set[Path], pending: list[tuple[ast.AST, Path]]) -> None:
    for path in found:
        if path.resolve() not in known and not is_library(str(path)):
            known.add(path.resolve())
            with suppress(SyntaxError, ProgramError):
                pending.append((parse(read_source(path)), path))


def _imported(node: ast.AST, file: Path, folders: set[Path]) -> Iterator[Path]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _modules_at(folders, alias.name.split("."))
    elif isinstance(node, ast.ImportFrom):
        begin = {file.parents[node.level - 1]} if 0 < node.level <= len(file.parents) else folders
        parts = node.module.split(".") if node.module else []
        yield from _modules_at(begin, parts)
        for alias in node.names:
            yield from _modules_at(begin, [*parts, alias.name])


def _modules_at(folders: set[Path], parts: list[str]) -> Iterator[Path]:
    """Those that an import of the dotted name runs."""
    for folder in folders:
        here = folder
        for part in parts:
            here = here / part
            for path in (here.with_suffix(".py"), here / "__init__.py"):
                if path.is_file():
                    yield path


def _folders_named(tree: ast.AST, folder: Path) -> set[Path]:
    """What may be meant for `sys.path`."""
    found = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and len(node.value) < _LONGEST_FOLDER
        ):
            with suppress(OSError, ValueError):
                if node.value and (folder / node.value).is_dir():
                    found.add((folder / node.value).resolve())
    return found
