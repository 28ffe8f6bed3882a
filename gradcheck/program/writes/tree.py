"""The file system as the program sees it: that of the machine, and over it, in a private folder, what the program wrote.

All of the state is in that folder, so that processes that the program forks share it.
"""

import errno
import hashlib
import os
import shutil
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

_lstat, _readlink, _listdir, _getcwd = os.lstat, os.readlink, os.listdir, os.getcwd
_MOST_LINKS = 40
# The devices and the kernel's own folders: nothing there is a file that could be lost.
_SYSTEM = ("/dev/", "/proc/", "/sys/")
_SHARED_MEMORY = "/dev/shm/"


class _Ours(threading.local):
    """Whether this thread is at work for us: then every call means the machine's files."""

    depth = 0


_ours = _Ours()


@contextmanager
def real_files() -> Iterator[None]:
    """While it lasts, this thread's calls are not redirected."""
    _ours.depth += 1
    try:
        yield
    finally:
        _ours.depth -= 1


@contextmanager
def program_files() -> Iterator[None]:
    """The opposite, for what the program does in the middle of it."""
    before, _ours.depth = _ours.depth, 0
    try:
        yield
    finally:
        _ours.depth = before


def means_real_files() -> bool:
    return _ours.depth > 0


@dataclass(frozen=True, slots=True)
class Entry:
    """`virtual` is the path by which the program knows it, `upper` its place in the private folder, `actual` where it
    is now, None if it is nowhere. `own`: neither redirected nor kept, as is a device."""

    virtual: str
    upper: str
    actual: str | None
    hidden: bool = False  # what the machine has there is removed, for the program
    own: bool = False

    @property
    def is_upper(self) -> bool:
        return self.actual is not None and self.actual == self.upper


class Tree:
    """`touched` is False as long as the private folder is empty: then every path means what it says."""

    def __init__(self, root: str, own: str = "") -> None:
        """`own` is a folder of ours around `root`."""
        self.root, self._own = root, own or root
        self.upper, self._gone, self.temp = (os.path.join(root, name) for name in ("files", "gone", "t"))
        self.touched = False
        self._plain: set[str] = set()  # folders of the machine's that are no links
        for folder in (self.upper, self._gone, self.temp):
            os.mkdir(folder)

    # -- finding ---------------------------------------------------------------------------------------------------

    def find(self, path: Any, follow: bool = True, folder: int | None = None) -> Entry:
        """`follow`: whether a link at the end of `path` is followed. Relative paths begin in the open `folder`."""
        text = os.fsdecode(path)
        if not text:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if not os.path.isabs(text):
            text = os.path.join(self.cwd() if folder is None else self.path_of(folder), text)
        drive, rest = os.path.splitdrive(text)
        here, hidden, links, pending = drive + os.sep, False, 0, _parts(rest)
        status: os.stat_result | None = None
        while pending:
            part = pending.pop()
            if part in ("", os.curdir):
                continue
            if part == os.pardir:
                here, status = os.path.dirname(here), None
                hidden = self._is_hidden(here)
                continue
            there = os.path.join(here, part)
            if not self.touched and pending and there in self._plain:
                here = there
                continue
            hidden = hidden or self._is_gone(there)
            status = self._status(there, hidden)
            if status is not None and stat.S_ISLNK(status.st_mode) and (pending or follow):
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = _readlink(self._actual(there, hidden) or there)
                pending += _parts(target)
                if os.path.isabs(target):
                    here, hidden = os.path.splitdrive(target)[0] + os.sep, False
                continue
            if status is not None and stat.S_ISDIR(status.st_mode):
                self._plain.add(there)
            here = there
        return self._entry(here, hidden)

    def cwd(self) -> str:
        return self.seen(_getcwd())

    def seen(self, path: str) -> str:
        """As the program knows `path`, which may lie in the private folder."""
        return path[len(self.upper) :] or os.sep if _is_below(path, self.upper) else path

    def path_of(self, descriptor: int) -> str:
        """Raises OSError where that cannot be known."""
        return self.seen(real_path_of(descriptor))

    def is_private(self, path: str) -> bool:
        return _is_below(path, self._own)

    def _entry(self, virtual: str, hidden: bool) -> Entry:
        is_system = virtual.startswith(_SYSTEM) and not virtual.startswith(_SHARED_MEMORY)
        if self.is_private(virtual) or is_system:
            return Entry(virtual, virtual, virtual if _exists(virtual) else None, own=True)
        return Entry(virtual, self._up(virtual), self._actual(virtual, hidden), hidden)

    def _up(self, virtual: str) -> str:
        return self.upper + (virtual.replace(":", "") if os.name == "nt" else virtual)

    def _status(self, virtual: str, hidden: bool) -> os.stat_result | None:
        actual = self._actual(virtual, hidden)
        return None if actual is None else _lstat(actual)

    def _actual(self, virtual: str, hidden: bool) -> str | None:
        if self.touched and _exists(up := self._up(virtual)):
            return up
        return virtual if not hidden and _exists(virtual) else None

    # -- what is removed -------------------------------------------------------------------------------------------

    def _is_gone(self, virtual: str) -> bool:
        return self.touched and _exists(self._mark(virtual))

    def _is_hidden(self, virtual: str) -> bool:
        while virtual != os.path.dirname(virtual):
            if self._is_gone(virtual):
                return True
            virtual = os.path.dirname(virtual)
        return False

    def _mark(self, virtual: str) -> str:
        return os.path.join(self._gone, hashlib.sha1(os.fsencode(virtual)).hexdigest())

    def hide(self, entry: Entry) -> None:
        """From here on the program does not see what the machine has there."""
        self.touched = True
        if not entry.hidden and _exists(entry.virtual):
            with real_files(), open(self._mark(entry.virtual), "wb") as file:
                file.write(os.fsencode(entry.virtual))

    # -- making room for writing -----------------------------------------------------------------------------------

    def make_folder_of(self, entry: Entry) -> None:
        """Raises as the machine would if there is no such folder, or if nothing may be made in it."""
        self._check_may_write(folder := self.find(os.path.dirname(entry.virtual)), entry)
        self.touched = True
        self._shadow(folder)

    def check_may_change(self, entry: Entry) -> None:
        """The folder that `entry` is in allows something to be made or removed there."""
        self._check_may_write(self.find(os.path.dirname(entry.virtual)), entry)

    def _check_may_write(self, folder: Entry, entry: Entry) -> None:
        if folder.actual is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), entry.virtual)
        with real_files():
            if not os.path.isdir(folder.actual):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), entry.virtual)
            if not os.access(folder.actual, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), entry.virtual)

    def _shadow(self, folder: Entry) -> None:
        """The folder in the private one, with the same permissions and times."""
        if folder.is_upper or folder.own:
            return
        above = os.path.dirname(folder.virtual)
        if above != folder.virtual:
            self._shadow(self.find(above))
        with real_files():
            os.makedirs(folder.upper, exist_ok=True)
            with suppress(OSError):
                shutil.copystat(folder.virtual, folder.upper)
                os.chmod(folder.upper, stat.S_IMODE(_lstat(folder.virtual).st_mode) | stat.S_IRWXU)

    def copy_up(self, entry: Entry, *, empty: bool = False) -> str:
        """The private copy of what is there, made if there is none yet; `empty`: without its content."""
        if entry.actual is None or entry.is_upper or entry.own:
            return entry.upper
        self.touched = True
        self._shadow(self.find(os.path.dirname(entry.virtual)))
        with real_files():
            status = _lstat(entry.actual)
            if stat.S_ISDIR(status.st_mode):
                self._shadow(entry)
            elif stat.S_ISLNK(status.st_mode):
                os.symlink(_readlink(entry.actual), entry.upper)
            elif empty:
                with open(entry.upper, "wb"):
                    pass
                os.chmod(entry.upper, stat.S_IMODE(status.st_mode))
            else:
                shutil.copy2(entry.actual, entry.upper)
        return entry.upper

    def copy_all(self, entry: Entry) -> None:
        """`entry` and, if it is a folder, all that the program sees in it."""
        self.copy_up(entry)
        if entry.actual is not None and stat.S_ISDIR(_lstat(entry.actual).st_mode):
            for name in self.names_in(entry):
                self.copy_all(self.find(os.path.join(entry.virtual, name), follow=False))

    # -- listing ---------------------------------------------------------------------------------------------------

    def names_in(self, folder: Entry) -> list[str]:
        """Raises as the machine would."""
        names: dict[str, None] = {}
        if not folder.hidden and folder.actual is not None and _exists(folder.virtual):
            with suppress(NotADirectoryError):
                here = folder.virtual
                names = dict.fromkeys(n for n in _listdir(here) if not self._is_gone(os.path.join(here, n)))
        if _exists(folder.upper):
            names.update(dict.fromkeys(_listdir(folder.upper)))
        return list(names)

    def identities(self) -> set[tuple[int, int]]:
        """Of all files in the private folder, as the machine knows them."""
        with real_files():
            folders = os.walk(self.root)
            found = (_lstat(os.path.join(folder, name)) for folder, _, names in folders for name in names)
            return {(status.st_dev, status.st_ino) for status in found}

    def written(self) -> Iterator[tuple[str, str]]:
        """Each file and what the program did with it: "wrote", "made" or "removed"."""
        with real_files():
            for folder, _, names in os.walk(self.upper):
                for name in names:
                    virtual = self.seen(os.path.join(folder, name))
                    yield virtual, "wrote" if os.path.lexists(virtual) else "made"
            for mark in _listdir(self._gone):
                with open(os.path.join(self._gone, mark), "rb") as file:
                    virtual = os.fsdecode(file.read())
                if not _exists(self._up(virtual)):
                    yield virtual, "removed"


def real_path_of(descriptor: int) -> str:
    if sys.platform == "darwin":
        import fcntl

        return os.fsdecode(fcntl.fcntl(descriptor, 50, b"\0" * 1024).rstrip(b"\0"))  # F_GETPATH
    return _readlink(f"/proc/self/fd/{descriptor}")


def parts_of_uri(text: str) -> tuple[str, str, str]:
    """`file:name.db?mode=rwc`, as SQLite takes it, in three parts."""
    if not text.startswith("file:"):
        return "", text, ""
    name, mark, query = text[len("file:") :].removeprefix("//").partition("?")
    return "file:", name, mark + query


def _parts(path: str) -> list[str]:
    """The last first."""
    return path.replace(os.altsep or os.sep, os.sep).split(os.sep)[::-1]


def _exists(path: str) -> bool:
    try:
        _lstat(path)
    except OSError:
        return False
    return True


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)
