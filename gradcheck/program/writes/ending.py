"""What Python does when a program ends, done while its writes are still held back: threads are waited for, exit handlers
run, files are flushed and closed. The process itself goes on, with the analysis."""

import atexit
import gc
import io
import os
import stat
import sys
import tarfile
import threading
import time
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from gradcheck.program.faults import person_traceback
from gradcheck.program.writes.state import STATE

PATIENCE_S = 10.0  # for all of it: a loop that was left may have left a thread waiting
_ARCHIVES = (zipfile.ZipFile, tarfile.TarFile)
_MOST_DESCRIPTORS = 1024
_listdir = os.listdir  # whatever the program puts in its place
_Descriptor = tuple[int, int, int]  # its number, and the file as the machine knows it


class ProgramsEnd:
    """`install` before the program runs. `is_user` knows its files."""

    def __init__(self, is_user: Callable[[str], bool]) -> None:
        self._is_user = is_user
        self._handlers: list[partial[Any]] = []
        self._register, self._unregister = atexit.register, atexit.unregister
        self._threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._open: set[_Descriptor] = set()  # before the program

    def install(self) -> None:
        self._threads.update(threading.enumerate())
        self._open = _descriptors()
        atexit.register, atexit.unregister = self._registered, self._unregistered

    def remove(self) -> None:
        self._close_files()
        atexit.register, atexit.unregister = self._register, self._unregister

    def finish(self) -> list[str]:
        """Returns what is to be noted."""
        waiting = self._join()
        self._call_handlers()
        return [f"the thread `{name}` was still running at the end of the program" for name in waiting]

    def _close_files(self) -> None:
        """Those that the program left open; archives first, for they write when they are closed."""
        tree = STATE.tree
        # To look through all objects takes as long as the rest of a small report.
        if (tree is not None and not tree.touched) or _descriptors() <= self._open:
            return
        held = None if tree is None else tree.identities()
        left = [
            file
            for file in _open_files()
            if (one := _descriptor(file)) not in self._open and (held is None or (one and one[1:] in held))
        ]
        for file in sorted(
            left, key=lambda one: (not isinstance(one, _ARCHIVES), isinstance(one, io.RawIOBase))
        ):
            with suppress(Exception):
                file.close()

    def _join(self) -> list[str]:
        """The names of threads that did not end. Those of a pool wait for work, as long as the process lives."""
        deadline = time.monotonic() + PATIENCE_S
        pools = sys.modules.get("concurrent.futures.thread")
        pooled = set(getattr(pools, "_threads_queues", ()))
        mine = [
            t for t in threading.enumerate() if t not in self._threads and not t.daemon and t not in pooled
        ]
        for thread in mine:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in mine if thread.is_alive()]

    def _call_handlers(self) -> None:
        while self._handlers:
            handler = self._handlers.pop()
            try:
                handler()
            except (Exception, SystemExit) as error:
                with suppress(Exception):
                    sys.stderr.write(
                        f"Exception ignored in atexit callback: {handler.func!r}\n{person_traceback(error)}"
                    )

    def _registered(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        if not self._is_user(sys._getframe(1).f_code.co_filename):
            return self._register(function, *args, **kwargs)  # a library's: for the end of the process
        self._handlers.append(partial(function, *args, **kwargs))
        return function

    def _unregistered(self, function: Callable[..., Any], /) -> None:
        self._handlers = [handler for handler in self._handlers if handler.func != function]
        self._unregister(function)


def _open_files() -> Iterator[Any]:
    standard = {id(stream) for stream in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)}
    standard |= {id(getattr(s, "buffer", None)) for s in (sys.stdin, sys.stdout, sys.stderr)}
    kinds: dict[type, bool] = {}
    for found in gc.get_objects():
        kind = type(found)
        if kind not in kinds:
            kinds[kind] = issubclass(kind, (io.IOBase, *_ARCHIVES))
        if kinds[kind] and id(found) not in standard and (kind in _ARCHIVES or _is_written(found)):
            yield found


def _is_written(file: Any) -> bool:
    try:
        return bool(file.writable()) and stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except Exception:  # closed, or no file of the machine's
        return False


def _descriptors() -> set[_Descriptor]:
    """Those of the regular files that are open, whoever has opened them."""
    try:
        numbers: Iterable[int] = map(int, _listdir("/dev/fd"))
    except OSError:  # not told by every system
        numbers = range(_MOST_DESCRIPTORS)
    found = set()
    for number in numbers:
        with suppress(OSError):
            status = os.fstat(number)
            if stat.S_ISREG(status.st_mode):
                found.add((number, status.st_dev, status.st_ino))
    return found


def _descriptor(file: Any) -> _Descriptor | None:
    """Of a file, or of the one that an archive is written to."""
    try:
        number = (getattr(file, "fp", None) or getattr(file, "fileobj", None) or file).fileno()
        status = os.fstat(number)
    except Exception:
        return None
    return number, status.st_dev, status.st_ino
