"""What `os.scandir` gives for a folder that the program has written in."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any


class DirEntry:
    """As `os.DirEntry`; asks for the path each time, as the program would."""

    __slots__ = ("name", "path")

    def __init__(self, name: Any, path: Any) -> None:
        self.name, self.path = name, path

    def __fspath__(self) -> Any:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return os.stat(self.path, follow_symlinks=follow_symlinks)

    def inode(self) -> int:
        return self.stat(follow_symlinks=False).st_ino

    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self._mode(False))

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return stat.S_ISDIR(self._mode(follow_symlinks))

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return stat.S_ISREG(self._mode(follow_symlinks))

    def is_junction(self) -> bool:
        return False

    def _mode(self, follow_symlinks: bool) -> int:
        try:
            return self.stat(follow_symlinks=follow_symlinks).st_mode
        except OSError:
            return 0


class Entries:
    """Iterator and context manager, as what `os.scandir` returns."""

    def __init__(self, folder: Any, names: list[Any]) -> None:
        self._left = iter([DirEntry(name, os.path.join(os.fspath(folder), name)) for name in names])

    def __iter__(self) -> Iterator[DirEntry]:
        return self._left

    def __next__(self) -> DirEntry:
        return next(self._left)

    def close(self) -> None:
        self._left = iter(())

    def __enter__(self) -> Entries:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
