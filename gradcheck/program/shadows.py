"""Modules of the person's that are named like Python's or like ours (`statistics.py`, `types.py`, `gradcheck.py`).

Run alone, the program gets its own. Here the other ones are loaded already, and libraries and we need them as they are:
who imports decides which of the two it is.
"""

import builtins
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.machinery import FrozenImporter, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_OURS = Path(__file__).resolve().parent.parent
_EARLIER = (importlib.machinery.BuiltinImporter, FrozenImporter)  # loaded before any program can begin


def shadowed(entry: Path) -> set[str]:
    """The modules and packages in `entry` that are named like one of Python's, or like us."""
    found = set()
    for path in (*entry.glob("*.py"), *(p.parent for p in entry.glob("*/__init__.py"))):
        known = path.stem in sys.stdlib_module_names or path.stem == "gradcheck"
        if known and path.resolve() != _OURS and not _is_loaded_early(path.stem):
            found.add(path.stem)
    return found


def forget_own(entry: Path) -> None:
    """Modules of the program's that are named like an installed one: what is imported from now on, is imported by us."""
    inside = os.path.join(entry, "")
    for name in [name for name in sys.modules if "." not in name]:
        file = getattr(sys.modules[name], "__file__", None)
        if not isinstance(file, str) or not file.startswith(inside):
            continue
        with suppress(ImportError, ValueError):
            spec = PathFinder.find_spec(name)
            if spec is not None and spec.origin is not None and spec.origin != file:
                for each in [n for n in sys.modules if n.partition(".")[0] == name]:
                    del sys.modules[each]


class OwnModules:
    """While it is in place, code that `is_user` accepts imports its own modules `names`, and all others those that we have."""

    def __init__(self, names: Iterable[str], is_user: Callable[[str], bool]) -> None:
        self._names = frozenset(names)
        self._is_user = is_user
        self._aside: dict[str, ModuleType] = {}  # of the two, those that are not in `sys.modules`
        self._theirs = False
        self._import = builtins.__import__

    def install(self) -> None:
        for name in self._names:
            with suppress(ImportError):
                importlib.import_module(name)
        builtins.__import__ = self._called

    def remove(self) -> None:
        builtins.__import__ = self._import
        if self._theirs:  # the program was cut short while it imported
            self._exchange()

    def _called(self, name: str, *args: Any, **kwargs: Any) -> ModuleType:
        by_user = self._is_user(sys._getframe(1).f_code.co_filename)
        if name.partition(".")[0] not in self._names or by_user is self._theirs:
            return self._import(name, *args, **kwargs)
        self._exchange()
        try:
            return self._import(name, *args, **kwargs)
        finally:
            self._exchange()

    def _exchange(self) -> None:
        held = [name for name in sys.modules if name.partition(".")[0] in self._names]
        kept = {name: sys.modules.pop(name) for name in held}
        sys.modules.update(self._aside)
        self._aside, self._theirs = kept, not self._theirs


def _is_loaded_early(name: str) -> bool:
    return getattr(sys.modules.get(name), "__loader__", None) in _EARLIER or name in sys.builtin_module_names
