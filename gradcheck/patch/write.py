"""Writes edited files atomically: each is always either the old one or the new one, and what an editor saves meanwhile stays.

The new file takes the place of the old one in one step, and the old one its: then it is looked at again. If it is not what
the edits were made from, somebody saved it in between, and it is put back.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gradcheck.patch.files import PatchedFile
from gradcheck.patch.swap import swap
from gradcheck.program.errors import ProgramError


@dataclass(slots=True)
class _Change:
    path: Path
    shown: str
    old: bytes
    new: bytes
    beside: str = ""  # holds the new content, and the old one once it is `placed`
    placed: bool = False

    def place(self) -> None:
        """What somebody saves from here on is what stays."""
        if swap(self.beside, str(self.path)):
            self.placed = True
        elif self.path.read_bytes() != self.old:
            raise self.changed()
        else:
            os.replace(self.beside, self.path)
            self.beside = ""

    def check(self) -> None:
        if self.placed and Path(self.beside).read_bytes() != self.old:
            raise self.changed()

    def undo(self) -> None:
        if not self.placed:
            return
        swap(self.beside, str(self.path))
        if Path(self.beside).read_bytes() != self.new:  # saved once more, meanwhile: that is the last word
            swap(self.beside, str(self.path))
        self.placed = False

    def remove_beside(self) -> None:
        if self.beside:
            os.unlink(self.beside)
            self.beside = ""

    def changed(self) -> ProgramError:
        return ProgramError(f"`{self.shown}` has changed in the meantime; no file was written")


def write_files(files: Sequence[PatchedFile]) -> None:
    """All of them, or none: every new file is ready before one is replaced."""
    _replace([_Change(file.path.resolve(), file.shown, file.before, file.after) for file in files])


def restore_files(files: Sequence[PatchedFile]) -> None:
    """Restores the previous contents; a file that has been changed since is left alone, which is reported."""
    _replace([_Change(file.path.resolve(), file.shown, file.after, file.before) for file in files])


def _replace(changes: Sequence[_Change]) -> None:
    """A symbolic link stays one: the path of a change is that of the file itself."""
    try:
        for change in changes:
            with _errors_of(change):
                if change.path.read_bytes() != change.old:
                    raise change.changed()
                _check_writable(change.path)
                _make_beside(change)
        for change in changes:
            with _errors_of(change):
                change.place()
        for change in changes:
            with _errors_of(change):
                change.check()
    except BaseException:
        for change in reversed(changes):
            with suppress(OSError):  # then the old content stays beside it
                change.undo()
                change.remove_beside()
        raise
    for change in changes:
        with suppress(OSError):
            change.remove_beside()
        _sync_folder(change.path.parent)


@contextmanager
def _errors_of(change: _Change) -> Iterator[None]:
    """OSError as the one line that the person reads."""
    try:
        yield
    except OSError as error:
        raise ProgramError(
            f"`{change.shown}` cannot be written: {error.strerror}",
            "no file was written; without --write the patch is only shown",
        ) from None


def _check_writable(path: Path) -> None:
    """A file can be replaced in a folder even if it is read-only itself; that it is, is the person's word."""
    if not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
        raise PermissionError(0, "it is read-only")


def _make_beside(change: _Change) -> None:
    """A file in the same folder, with the new content on the disk, its owner, its permissions and its attributes."""
    path = change.path
    descriptor, change.beside = tempfile.mkstemp(
        prefix=f".{path.name[:100]}.", suffix=".gradcheck", dir=path.parent
    )
    with open(descriptor, "wb") as file:
        file.write(change.new)
        file.flush()
        with suppress(OSError, AttributeError):  # only root may give a file away; on Windows nobody
            os.fchown(file.fileno(), (known := path.stat()).st_uid, known.st_gid)
        shutil.copystat(path, change.beside)  # access control lists too
        os.utime(change.beside)
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
