"""A folder of files that somebody wants to keep, and programs that write in it."""

from __future__ import annotations

import inspect
import os
import sqlite3
import stat
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.writes import ways

_LOOP = """
import torch

torch.manual_seed(0)
x, y = torch.randn(8, 3), torch.randn(8, 1)
W = torch.randn(3, 1)
for step in range(2000):
    out = x @ W
    loss = ((out - y) ** 2).mean()
    dout = 2 * (out - y) / out.numel()
    dW = x.T @ (dout * 2)
    W -= 0.1 * dW
"""


def program(way: Callable[[], None]) -> str:
    """A training loop, and then the way."""
    return f"{_LOOP}\n\n{_source(way)}\n{way.__name__}()\n"


def _source(way: Callable[[], None]) -> str:
    source = inspect.getsource(way)
    return source + "\n\n" + (inspect.getsource(ways._worker) if "_worker" in source else "")


def function(way: Callable[[], None]) -> str:
    """The same as a function without parameters."""
    called = _LOOP.replace("import torch\n", "") + f"{way.__name__}()\n"
    return f"import torch\n\n{_source(way)}\n\ndef train():\n{textwrap.indent(called, '    ')}\n"


def layer(way: Callable[[], None]) -> str:
    """A layer whose module and whose forward write."""
    forward = "        self.x = x\n        return x @ self.W\n"
    return (
        f"import os\nimport torch\n\n{_source(way)}\n\nclass Linear:\n    def __init__(self, fan_in, fan_out):\n"
        "        self.W = torch.randn(fan_in, fan_out)\n\n    def forward(self, x):\n"
        f"        with open('forward.txt', 'a') as file:\n            file.write('x')\n{forward}\n"
        "    def backward(self, dout):\n        self.dW = self.x.T @ dout\n        return dout @ self.W.T\n\n\n"
        f"{way.__name__}()\n"
    )


def fill(folder: Path) -> None:
    """All of it is from 2001."""
    (folder / "runs" / "first").mkdir(parents=True)
    for name, text in (
        ("model.txt", "trained for a week"),
        ("model.pt", "a checkpoint"),
        ("results.csv", "epoch,loss\n1,2\n"),
        ("log.txt", ""),
        ("history.json", "[1]"),
        ("secret.key", "key"),
        ("step.py", "VALUE = 1\n"),
        ("runs/first/log.txt", "a log"),
        ("runs/first/weights.bin", "0123"),
    ):
        (folder / name).write_text(text)
    with sqlite3.connect(folder / "runs.db") as base:
        base.execute("create table runs (number)")
        base.execute("insert into runs values (1)")
    base.close()
    (folder / "secret.key").chmod(0o400)
    (folder / "link.txt").symlink_to("log.txt")
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (1e9, 1e9), follow_symlinks=False)
    os.utime(folder, (1e9, 1e9))


State = dict[str, tuple[Any, ...]]


def state_of(folder: Path) -> State:
    """All that can be seen of the files in it, but when they were read."""
    found: State = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        found[str(path.relative_to(folder))] = (
            content, status.st_mode, status.st_ino, status.st_nlink, status.st_uid,
            status.st_size, status.st_mtime_ns, status.st_ctime_ns,
        )  # fmt: skip
    return found


def changes(before: State, after: State) -> list[str]:
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
