"""Functions of compiled libraries that open files by themselves: they are given the private path."""

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from gradcheck.program.writes.state import STATE
from gradcheck.program.writes.tree import Tree, parts_of_uri, real_files

# Module, what in it, which argument is the path, whether it may be written. A class of `torch._C` is a function here:
# nothing asks for its type.
_OPENERS: tuple[tuple[str, str, int, bool], ...] = (
    ("torch._C", "PyTorchFileWriter", 0, True),
    ("torch.jit", "save", 1, True),
    ("torch.jit", "load", 0, False),
    ("_sqlite3", "connect", 0, True),
    ("_dbm", "open", 0, True),
    ("_gdbm", "open", 0, True),
)


def replacements() -> Iterator[tuple[object, object]]:
    """What each library has, and what takes its place; of `torch` only where it is loaded."""
    for module_name, name, position, writes in _OPENERS:
        module = sys.modules.get(module_name)
        if module is None and not module_name.startswith("torch") and find_spec(module_name):
            try:
                module = importlib.import_module(module_name)
            except ImportError:
                continue
        real = getattr(module, name, None)
        if real is not None:
            yield real, _redirected(real, position, writes)


def _redirected(real: Callable[..., Any], position: int, writes: bool) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        tree = STATE.current()
        if tree is None or len(args) <= position or not isinstance(args[position], (str, os.PathLike, bytes)):
            return real(*args, **kwargs)
        given = list(args)
        given[position] = _private(tree, args[position], writes)
        return real(*given, **kwargs)

    return call


def _private(tree: Tree, path: Any, writes: bool) -> Any:
    text = os.fsdecode(path)
    prefix, text, query = parts_of_uri(text)
    if not text or text == ":memory:":
        return path
    with real_files():
        entry = tree.find(text)
        if not writes:
            return entry.actual or path
        if entry.own:
            return path
        if entry.actual is None:
            tree.make_folder_of(entry)
        else:
            tree.copy_up(entry)
    return prefix + entry.upper + query
