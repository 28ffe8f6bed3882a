"""The surroundings a program runs in: those of a bare run, except that nothing opens a window or waits.

Everything is restored afterwards, because the analysis goes on in the same process.
"""

import builtins
import importlib
import os
import sys
import threading
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, NoReturn

from gradcheck.base.depth import PROGRAMS
from gradcheck.program.own_packages import roots_of
from gradcheck.program.program import Program
from gradcheck.program.shadows import OwnModules, forget_own, shadowed
from gradcheck.program.source import SourceMap
from gradcheck.program.stand_ins import Nothing

_exit = os._exit
_EXPORTED = "get_ipython()."  # what nbconvert writes for a magic


class ProgramExit(SystemExit):
    """`os._exit`, made to end the program and not us."""


class ZMQInteractiveShell(Nothing):
    """What `get_ipython()` returns; programs look at its name to recognise a notebook."""


class Surroundings:
    """`enter` before the first unit, `leave` after the last."""

    def __init__(self, program: Program, main: ModuleType) -> None:
        self._program = program
        self._main = main
        self._undo: list[Callable[[], None]] = []
        self._windows = _WindowFinder(program.sources)

    def enter(self) -> None:
        program = self._program
        file = str(program.target.path or program.target.module)
        entry = str(program.path_entry)
        self._undo.append(partial(forget_own, program.path_entry))  # last, when the path is ours again
        self._set(sys, "argv", [file, *program.arguments])
        if names := shadowed(program.path_entry):
            own = OwnModules(names, program.sources.is_user)
            own.install()
            self._undo.append(own.remove)
        more = roots_of(program.target.path) if program.target.path is not None else []
        self._set(sys, "path", [entry, *(p for p in sys.path if p not in ("", entry)), *more])
        self._set(os, "_exit", _program_exit(os.getpid()))
        if self._main.__name__ == "__main__":
            self._set_item(sys.modules, "__main__", self._main)
        if program.is_notebook or program.contains(_EXPORTED):
            self._set(builtins, "get_ipython", lambda: ZMQInteractiveShell())
        if program.is_notebook:
            self._set(builtins, "display", lambda *args, **kwargs: None)
        self._set_item(os.environ, "MPLBACKEND", "Agg")
        self._windows.install()
        self._undo.append(self._windows.remove)
        limit = sys.getrecursionlimit()
        self._undo.append(lambda: sys.setrecursionlimit(limit))
        sys.setrecursionlimit(PROGRAMS)
        self._change_directory()

    def leave(self) -> None:
        while self._undo:
            self._undo.pop()()

    def _change_directory(self) -> None:
        try:
            before = os.getcwd()
        except OSError:
            before = "/"

        def back() -> None:
            try:
                os.chdir(before)
            except OSError:  # the program deleted it
                os.chdir("/")

        self._undo.append(back)
        os.chdir(self._program.directory)

    def _set_item(self, mapping: MutableMapping[str, Any], key: str, value: Any) -> None:
        before = mapping.get(key)
        mapping[key] = value
        self._undo.append(
            partial(mapping.pop, key, None) if before is None else partial(mapping.__setitem__, key, before)
        )

    def _set(self, owner: Any, name: str, value: Any) -> None:
        missing = object()
        before = getattr(owner, name, missing)
        setattr(owner, name, value)
        if before is missing:
            self._undo.append(lambda: delattr(owner, name) if hasattr(owner, name) else None)
        else:
            self._undo.append(lambda: setattr(owner, name, before))


class Machinery:
    """What imports and calls need, and a program can empty: put back as soon as it has ended, before anything of ours is
    imported."""

    def keep(self) -> None:
        self._modules = dict(sys.modules)
        self._finders, self._hooks = list(sys.meta_path), list(sys.path_hooks)
        self._builtins = vars(builtins).copy()

    def put_back(self) -> None:
        if sys.modules != self._modules:  # thousands, and mostly they are as they were
            sys.modules.update({n: m for n, m in self._modules.items() if sys.modules.get(n) is None})
        sys.meta_path += [each for each in self._finders if each not in sys.meta_path]
        sys.path_hooks += [each for each in self._hooks if each not in sys.path_hooks]
        for name, value in self._builtins.items():
            if callable(value) and not callable(getattr(builtins, name, None)):
                setattr(builtins, name, value)


def _program_exit(process: int) -> Callable[[int], NoReturn]:
    main_thread = threading.get_ident()

    def end_program(status: int) -> NoReturn:
        if os.getpid() != process:  # a child the program forked: multiprocessing ends its workers so
            _exit(status)
        raise ProgramExit(status) if threading.get_ident() == main_thread else SystemExit(status)

    return end_program


class _WindowFinder(MetaPathFinder):
    """Changes a few modules as they are imported, so that we need not import them."""

    def __init__(self, sources: SourceMap) -> None:
        self._hooks: dict[str, Callable[[ModuleType], None]] = {
            "matplotlib": _keep_backend,
            "matplotlib.pyplot": _show_nothing,
            "tqdm.notebook": _plain_progress_bar,
            "IPython": lambda module: _shell_for_person(module, sources),
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        hook = self._hooks.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if hook else None
        if hook is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            hook(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def install(self) -> None:
        for name, hook in self._hooks.items():
            if name in sys.modules:
                hook(sys.modules[name])
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)


def _keep_backend(matplotlib: ModuleType) -> None:
    """`matplotlib.use("TkAgg")` would open windows, or fail where there is no screen."""
    matplotlib.use = lambda *args, **kwargs: None  # type: ignore[attr-defined]


def _show_nothing(pyplot: ModuleType) -> None:
    def show(*args: Any, **kwargs: Any) -> None:
        pyplot.close("all")  # as a notebook does once a figure is shown

    pyplot.show = show  # type: ignore[attr-defined]
    pyplot.pause = lambda *args, **kwargs: None  # type: ignore[attr-defined]
    switch = pyplot.switch_backend  # pyplot calls it too, to load the backend it starts with
    pyplot.switch_backend = lambda *args, **kwargs: switch("agg")  # type: ignore[attr-defined]


def _plain_progress_bar(module: ModuleType) -> None:
    """The widget needs ipywidgets and a browser."""
    plain = importlib.import_module("tqdm.std")
    for name in ("tqdm", "trange"):
        setattr(module, name, getattr(plain, name))


def _shell_for_person(ipython: ModuleType, sources: SourceMap) -> None:
    """`from IPython import get_ipython` in a notebook; libraries that ask get None, as in a script."""

    def get_ipython() -> ZMQInteractiveShell | None:
        caller = sys._getframe(1).f_code.co_filename
        return ZMQInteractiveShell() if sources.is_user(caller) else None

    ipython.get_ipython = get_ipython  # type: ignore[attr-defined]
