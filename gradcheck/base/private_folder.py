"""A temporary folder that is gone when this process is, however it ends: with it the processes that belong to it.

A shell of a few lines waits at the end of a pipe whose other end only this process holds. `kill -9` closes it too.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Twice, because a process that is being killed may still write.
_CARETAKER = """
group=; word=
while read -r word; do
    case "$word" in done) exit;; *) group="$word";; esac
done
[ -n "$group" ] && kill -s KILL -- "-$group"
for time in 0 1; do
    sleep "$time"; chmod -R u+rwx -- "$1"; rm -rf -- "$1"
done
"""


_PREFIX = "gradcheck-"
_NAME = re.compile(_PREFIX + r"(\d+)-\w+")
_LEFT_S = 3600.0  # a process of another container is not seen: what was in use of late is left


def make_folder(within: str | None = None) -> str:
    """A temporary folder, whose name says whose it is. Raises OSError if none can be made."""
    if within is None:
        _remove_left_behind()
    return tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=within)


def _remove_left_behind() -> None:
    """What was made in a process that was killed, where no shell waited: a test, a notebook."""
    if not hasattr(os, "getuid"):  # Windows, where to ask whether a process lives may end it
        return
    with suppress(OSError):
        for entry in os.scandir(tempfile.gettempdir()):
            found = _NAME.fullmatch(entry.name)
            if found is None or not entry.is_dir(follow_symlinks=False):
                continue
            with suppress(OSError, OverflowError):
                known = entry.stat(follow_symlinks=False)
                left = known.st_uid == os.getuid() and time.time() - known.st_mtime > _LEFT_S
                if left and not _lives(int(found[1])):
                    remove_tree(entry.path)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class PrivateFolder:
    path: Path
    _caretaker: subprocess.Popen[bytes] | None

    def owns_group(self, leader: int) -> None:
        """The processes of that group are killed before the folder is removed, should we no longer be there."""
        self._tell(str(leader))

    def _tell(self, word: str) -> None:
        if self._caretaker is not None and self._caretaker.stdin is not None:
            with suppress(OSError):
                self._caretaker.stdin.write(word.encode() + b"\n")
                self._caretaker.stdin.flush()

    def remove(self) -> None:
        remove_tree(self.path)
        self._tell("done")
        if self._caretaker is not None:
            with suppress(OSError, subprocess.TimeoutExpired):
                self._caretaker.communicate(timeout=2)


@contextmanager
def private_folder() -> Iterator[PrivateFolder]:
    """Raises OSError if none can be made."""
    folder = PrivateFolder(path := Path(make_folder()), _caretaker_of(path))
    try:
        yield folder
    finally:
        folder.remove()


def remove_tree(path: Path | str) -> None:
    """Also folders that a program has made read-only."""

    def again(function: Callable[..., Any], failed: str, error: object) -> None:
        with suppress(OSError):
            os.chmod(os.path.dirname(failed), stat.S_IRWXU)
            os.chmod(failed, stat.S_IRWXU)
            shutil.rmtree(failed, ignore_errors=True) if os.path.isdir(failed) else os.unlink(failed)

    # The second is deprecated since there is the first.
    handler: dict[str, Any] = {"onexc" if sys.version_info >= (3, 12) else "onerror": again}
    shutil.rmtree(path, **handler)


def _caretaker_of(path: Path) -> subprocess.Popen[bytes] | None:
    with suppress(OSError):
        if os.name == "posix":
            return subprocess.Popen(
                ["/bin/sh", "-c", _CARETAKER, "sh", str(path)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True, cwd="/",
            )  # fmt: skip
    return None
