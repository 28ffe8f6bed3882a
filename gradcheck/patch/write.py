"""Writes edited files atomically: each is always either the old one or the new one."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gradcheck.patch.files import PatchedFile
from gradcheck.program.errors import ProgramError


def write_files(files: Sequence[PatchedFile]) -> None:
    """All of them, or none as far as can be checked beforehand: every new file is ready before one is replaced."""
    _replace([(file.path, file.shown, file.before, file.after) for file in files])


def restore_files(files: Sequence[PatchedFile]) -> None:
    """Restores the previous contents; a file that has been changed since is left alone, which is reported."""
    _replace([(file.path, file.shown, file.after, file.before) for file in files])


def _replace(changes: Sequence[tuple[Path, str, bytes, bytes]]) -> None:
    ready: list[tuple[str, Path]] = []
    try:
        for path, shown, expected, new in changes:
            real = path.resolve()  # a symbolic link stays one
            try:
                if real.read_bytes() != expected:
                    raise ProgramError(f"`{shown}` has changed in the meantime; no file was written")
                _check_writable(real)
                ready.append((_temporary(real, new), real))
            except OSError as error:
                raise ProgramError(
                    f"`{shown}` cannot be written: {error.strerror}",
                    "without --write the patch is only shown",
                ) from None
        while ready:
            temporary, real = ready[0]
            os.replace(temporary, real)
            del ready[0]
            _sync_folder(real.parent)
    finally:
        for temporary, _ in ready:
            with suppress(OSError):
                os.unlink(temporary)


def _check_writable(path: Path) -> None:
    """A file can be replaced in a folder even if it is read-only itself; that it is, is the person's word."""
    if not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
        raise PermissionError(0, "it is read-only")


def _temporary(path: Path, content: bytes) -> str:
    """A file beside `path`, with its content on the disk, its owner and its permissions."""
    known = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            with suppress(OSError):  # only root may give a file away
                os.fchown(file.fileno(), known.st_uid, known.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(known.st_mode))
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    return name


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
