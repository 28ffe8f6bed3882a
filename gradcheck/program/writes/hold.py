"""Holds the writes of this process back, from one point to another."""

import atexit
import os
import shutil
import sys
import sysconfig
import tempfile
import threading
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gradcheck.base.private_folder import make_folder
from gradcheck.program.data_files import numpy_openers
from gradcheck.program.source import shown_path
from gradcheck.program.writes import compiled
from gradcheck.program.writes.kernel import only_writes_in
from gradcheck.program.writes.net import NET
from gradcheck.program.writes.openers import all_replacements
from gradcheck.program.writes.state import STATE
from gradcheck.program.writes.tree import Tree
from gradcheck.program.written import Written

_PLACES = ("stdlib", "platstdlib", "purelib", "platlib")
_INSTALLED = tuple({sysconfig.get_path(place) + os.sep for place in _PLACES})


@contextmanager
def writes_held_back(is_user: Callable[[str], bool], allowed: bool = False) -> Iterator[Tree | None]:
    """Unless they are `allowed`. `is_user` knows the program's files. The private folder is gone afterwards, unless threads
    that the program started are still there. Inside of another one nothing begins: None."""
    if not allowed:
        NET.is_user = is_user
    if allowed or STATE.tree is not None:
        yield None
        return
    root = os.path.realpath(make_folder(STATE.folder or None))
    tree = Tree(root, os.path.realpath(STATE.folder) if STATE.folder else "")
    NET.install()
    STATE.others = weakref.WeakSet(threading.enumerate())
    STATE.others.discard(threading.current_thread())
    process = os.getpid()
    with ExitStack() as undo:
        undo.enter_context(_temporary_files_in(tree.temp))
        undo.enter_context(_put_in_place())
        STATE.tree = tree
        try:
            yield tree
        finally:
            if os.getpid() != process:
                undo.pop_all()  # a fork of the program's that came this far: the folder is not its own
            elif STATE.lasting:
                STATE.kept = undo.pop_all()  # or it would be undone when it is collected
            else:
                _end(tree)


def _end(tree: Tree) -> None:
    others, STATE.tree = STATE.others, None
    left = [t for t in threading.enumerate() if t not in others and t is not threading.current_thread()]
    STATE.left.update(dict.fromkeys(left, tree))
    if left:
        atexit.register(shutil.rmtree, tree.root, ignore_errors=True)
    else:
        shutil.rmtree(tree.root, ignore_errors=True)


def hold_for_good(folder: str) -> None:
    """In this process, which is one of ours, what a program writes is held back in `folder` until the process ends;
    also by the kernel, if it can."""
    STATE.folder, STATE.lasting = folder, True
    NET.kernel = only_writes_in([folder])


def written_by_program(tree: Tree | None) -> list[Written]:
    """What the program wrote so far. What is in a folder that was removed goes without saying."""
    if tree is None:
        return []
    found = sorted(tree.written())
    removed = tuple(path + os.sep for path, what in found if what == "removed")
    return [
        Written(shown_path(Path(path)), what)
        for path, what in found
        if what != "removed" or not path.startswith(removed)
    ]


@contextmanager
def _put_in_place() -> Iterator[None]:
    """Wherever a loaded module has one of the functions, by whatever name. Modules that are loaded later take what they
    find: that is why it gives way as long as nothing is held back."""
    new = all_replacements()
    new.update({id(real): (real, instead) for real, instead in compiled.replacements()})
    undo: list[tuple[dict[Any, Any], Any, object, object]] = []
    for names, name in _holders(new.keys()):
        real, instead = new.get(id(names.get(name)), (None, None))
        if real is not None:
            names[name] = instead
            undo.append((names, name, real, instead))
    _follow_supported(new, add=True)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    by_descriptor = shutil._use_fd_functions  # type: ignore[attr-defined]
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        shutil._use_fd_functions = by_descriptor  # type: ignore[attr-defined]
        sys.dont_write_bytecode = bytecode
        _follow_supported(new, add=False)
        for names, name, real, instead in undo:
            if names.get(name) is instead:
                names[name] = real


class _Libraries:
    """What the modules of libraries hold is looked up once: every look at every name copies the memory of a forked child,
    and there are thousands of modules."""

    def __init__(self) -> None:
        self._wanted: frozenset[int] = frozenset()
        self._known: dict[str, tuple[object, dict[Any, Any], int, list[Any]]] = {}

    def holders(self, wanted: Collection[int]) -> Iterator[tuple[dict[Any, Any], Any]]:
        """The namespaces of loaded modules that hold a `wanted` object, and by what name."""
        if wanted != self._wanted:
            self._wanted, self._known = frozenset(wanted), {}
        # A copy is one step: a collection in the middle can import.
        for name, module in (*sys.modules.copy().items(), ("", numpy_openers())):
            seen, names, size, held = self._known.get(name, (None, {}, 0, []))
            if seen is not module or size != len(names):
                names = _names_in(name, module)
                held = [each for each, value in names.copy().items() if id(value) in wanted]
                file = getattr(module, "__file__", None)
                if not names or (isinstance(file, str) and file.startswith(_INSTALLED)):
                    self._known[name] = module, names, len(names), held
            for each in held:
                yield names, each


_holders = _Libraries().holders


def _names_in(name: str, module: object) -> dict[Any, Any]:
    found = module if name == "" else getattr(module, "__dict__", None)
    return found if isinstance(found, dict) and not name.startswith("gradcheck.") else {}


def _follow_supported(new: dict[int, tuple[object, object]], add: bool) -> None:
    """`os.supports_dir_fd` and its like hold the functions themselves."""
    for held in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
        for real, instead in new.values():
            if callable(real) and real in held:
                held.add(instead) if add else held.discard(instead)  # type: ignore[arg-type]


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    before, environment = tempfile.tempdir, {name: os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")}
    tempfile.tempdir = folder
    os.environ.update(dict.fromkeys(environment, folder))
    try:
        yield
    finally:
        tempfile.tempdir = before
        for name, value in environment.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
