"""What takes the place of `open` and its like. The name of a file that is open stays the one that it was opened by."""

import functools
import io
import os
from collections.abc import Callable
from typing import Any

from gradcheck.program.writes.calls import open_descriptor, replacements
from gradcheck.program.writes.state import STATE
from gradcheck.program.writes.tree import Tree, program_files, real_files

_open, _open_code = io.open, io.open_code
_FileIO: Any = io.FileIO
_open_descriptor, _getcwd, _getcwdb = os.open, os.getcwd, os.getcwdb
Opener = Callable[[Any, int], int]


def all_replacements() -> dict[int, tuple[object, object]]:
    """By the identity of the function: it, and what takes its place."""
    pairs = [(getattr(os, name), new) for name, new in replacements().items()]
    pairs += [(_open, open_file), (_open_code, open_code), (_FileIO, FileIO)]
    pairs += [(_getcwd, getcwd), (_getcwdb, getcwdb)]
    return {id(real): (real, new) for real, new in pairs}


@functools.wraps(_open)
def open_file(
    file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
    newline: str | None = None, closefd: bool = True, opener: Opener | None = None,
) -> Any:  # fmt: skip
    tree = STATE.current()
    rest = buffering, encoding, errors, newline, closefd
    if tree is None:
        return _open(file, mode, *rest, opener)
    writes = isinstance(mode, str) and not set(mode).isdisjoint("wax+")
    if isinstance(file, int) or not (writes or tree.touched):
        return _open(file, mode, *rest, opener)
    with real_files():
        return _open(file, mode, *rest, _opener(tree, opener))


def _opener(tree: Tree, opener: Opener | None) -> Opener:
    """What opens a file for `open`, which itself only gives it its name."""

    def redirected(path: Any, flags: int) -> int:
        return open_descriptor(tree, _open_descriptor, True, path, flags, 0o666)

    def of_program(path: Any, flags: int) -> int:
        assert opener is not None
        with program_files():
            return opener(path, flags)

    return redirected if opener is None else of_program


@functools.wraps(_open_code)
def open_code(path: str) -> Any:
    tree = STATE.current()
    return _open_code(path) if tree is None or not tree.touched else open_file(path, "rb")


class _OfAnyOrigin(type(io.FileIO)):  # type: ignore[misc]
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _FileIO)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, _FileIO)


class FileIO(io.FileIO, metaclass=_OfAnyOrigin):
    def __init__(
        self, file: Any, mode: str = "r", closefd: bool = True, opener: Opener | None = None
    ) -> None:
        tree = STATE.current()
        if tree is None or isinstance(file, int):
            super().__init__(file, mode, closefd, opener)
            return
        with real_files():
            super().__init__(file, mode, closefd, _opener(tree, opener))


@functools.wraps(_getcwd)
def getcwd() -> str:
    tree = STATE.current()
    return _getcwd() if tree is None else tree.cwd()


@functools.wraps(_getcwdb)
def getcwdb() -> bytes:
    return os.fsencode(getcwd())
