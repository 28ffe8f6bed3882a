"""Catches what was not redirected: Python tells its audit hooks before a file is opened, renamed, removed or changed.

What is caught is refused as the machine would refuse it, so that a program that expects a failure goes on.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from gradcheck.program.writes.state import STATE
from gradcheck.program.writes.tree import Tree, parts_of_uri, real_files, real_path_of

# By event, which of its arguments are paths of what would change.
_PATHS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("open", "sqlite3.connect"), (0,)),
    **{
        f"os.{name}": (0,)
        for name in ["chflags", "chmod", "chown", "mkdir", "remove", "removexattr", "rmdir"]
    },
    **{f"os.{name}": (0,) for name in ["setxattr", "truncate", "utime"]},
    "os.link": (0, 1),
    "os.rename": (0, 1),
    "os.symlink": (1,),
}
# What starts another program: by event, which argument says what.
_STARTS = {
    "os.exec": 0,
    "os.posix_spawn": 0,
    "os.spawn": 1,
    "os.startfile": 0,
    "os.system": 0,
    "subprocess.Popen": 1,
}
_FORKS = ("os.fork", "os.forkpty")
_COMPILED = ("ctypes.dlopen", "ctypes.dlsym")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class HeldBackError(PermissionError):
    """What the program gets where it would change something that could not be redirected."""


class Net:
    """One for the process, for an audit hook stays for ever. `kernel`: the kernel refuses the writes of processes that
    are started, so they may be. `is_user` knows the program's own files."""

    def __init__(self) -> None:
        self.kernel = False
        self.is_user: Callable[[str], bool] = lambda file: False
        self._installed = False

    def install(self) -> None:
        if not self._installed:
            # No method: each is looked through for `__cantrace__` at every event, and each `id()` is one.
            def heard(event: str, args: tuple[Any, ...]) -> None:
                if event in _HEARD:
                    self._hear(event, args)

            sys.addaudithook(heard)
            self._installed = True

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if (tree := STATE.current()) is None:
            return
        with real_files():
            if event in _PATHS:
                if event != "open" or _opens_to_write(args):
                    self._check(tree, [args[number] for number in _PATHS[event]])
            elif event in _FORKS:
                tree.touched = True  # what the other process writes is seen here too
            elif event in _COMPILED:
                if not self.kernel and self._is_called_by_user():
                    self._refuse("calls compiled code, which could change files")
            elif not self.kernel or event == "os.exec":
                self._refuse(f"starts `{_command(args[_STARTS[event]])}`, which could change files")

    def _check(self, tree: Tree, paths: Iterable[Any]) -> None:
        for path in paths:
            name = _path(path)
            if name is not None and not tree.find(name).own:
                self._refuse(f"changes `{name}` in a way that cannot be redirected")

    def _refuse(self, what: str) -> None:
        raise HeldBackError(errno.EPERM, f"the program {what}: not done, unless with --allow-writes")

    def _is_called_by_user(self) -> bool:
        frame = sys._getframe(3)
        while frame is not None and "ctypes" in frame.f_code.co_filename:
            frame = frame.f_back  # type: ignore[assignment]
        return frame is not None and self.is_user(frame.f_code.co_filename)


_HEARD = frozenset((*_PATHS, *_STARTS, *_FORKS, *_COMPILED))
NET = Net()


def _opens_to_write(args: tuple[Any, ...]) -> bool:
    mode, flags = args[1], args[2]
    if isinstance(mode, str):
        return not set(mode).isdisjoint("wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)


def _path(given: Any) -> str | None:
    """None for what is no file: an open one that the program could only have opened for reading has a path."""
    if isinstance(given, int):
        try:
            return real_path_of(given)
        except OSError:
            return None
    try:
        name = os.fsdecode(given)
    except TypeError:
        return None
    return None if name in ("", ":memory:") or "\0" in name else parts_of_uri(name)[1]


def _command(given: Any) -> str:
    words = given if isinstance(given, (list, tuple)) else [given]
    text = " ".join(os.fsdecode(word) for word in words if isinstance(word, (str, bytes, os.PathLike)))
    return text if len(text) <= 60 else text[:57] + "..."
