"""Reports to the parent process how far the child is: one line per step, in a file.

A file and not a pipe: the program may close every descriptor it finds. A file is opened by its path each
time, by functions kept from before the program could replace them.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from gradcheck.base.regular import BINARY, read_regular

_open, _write, _close = os.open, os.write, os.close
_path: str | None = None
_process = 0
_COUNT = re.compile(r"\((\d+) of (\d+)\)\Z")


class Stage(StrEnum):
    LOADING = "loading"
    RUNNING = "running"  # the person's program: the only stage under the time limit
    CHECKING = "checking"  # a layer of the person's, case by case: each has that time
    ANALYSING = "analysing"
    MEASURING = "measuring"
    DIAGNOSING = "diagnosing"


@dataclass(frozen=True, slots=True)
class Progress:
    """`detail` is what is being done, in words; one that ends in "(2 of 4)" also says how much of it."""

    stage: Stage
    detail: str = ""

    @property
    def fraction(self) -> float | None:
        """How much was done before this step began."""
        counted = _COUNT.search(self.detail)
        if counted is None or int(counted[2]) == 0:
            return None
        return min(max(int(counted[1]) - 1, 0) / int(counted[2]), 1.0)


def write_to(path: str) -> None:
    global _path, _process
    _path, _process = path, os.getpid()


def say(stage: Stage, detail: str = "") -> None:
    """Does nothing in a process that has no parent waiting, or that the program forked off."""
    if _path is None or os.getpid() != _process:
        return
    line = f"{stage.value} {' '.join(detail.split())}\n"
    with suppress(OSError):  # a report without progress is better than none
        descriptor = _open(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | BINARY, 0o600)
        try:
            _write(descriptor, line.encode("utf-8", "replace"))
        finally:
            _close(descriptor)


def read(path: str) -> Progress | None:
    """The last step that was reported."""
    try:
        lines = read_regular(path).decode("utf-8", "replace").split("\n")[:-1]  # the last is not finished
        if not lines:
            return None
        stage, _, detail = lines[-1].partition(" ")
        return Progress(Stage(stage), detail)
    except (OSError, ValueError):
        return None
