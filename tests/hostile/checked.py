"""Runs the command on one input, and says what went wrong with us: not with the program."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.hostile.inputs import Hostile

ROOT = Path(__file__).parents[2]
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
COMMAND = START + "from gradcheck.cli.entry import main; main()"
# The program is run, and nothing is analysed: that is the same for all, and imports torch.
STUBBED = START + (
    "from gradcheck.process import child; from tests.cli.conftest import STUB; child._START = STUB; "
    "from gradcheck.cli.entry import main; main()"
)
_OURS = re.compile(r"Traceback \(most recent call last\)|internal error|Exception ignored|core dumped")
_PATIENCE_S = 10
_LIMIT_S = 180


@dataclass
class Checked:
    hostile: Hostile
    status: int = 0
    seconds: float = 0.0
    out: str = ""
    wrong: list[str] = field(default_factory=list)  # what went wrong, in words


def checked(hostile: Hostile, folder: Path, code: str = COMMAND) -> Checked:
    """`folder` is there and empty."""
    place, temporary = folder / "place", folder / "tmp"
    place.mkdir()
    temporary.mkdir()
    words = hostile.write(place)
    before, mark = _seen(place), uuid.uuid4().hex
    found = Checked(hostile)
    started = time.monotonic()
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, *words], cwd=place, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env={**os.environ, "TMPDIR": str(temporary), "HOSTILE": mark}, start_new_session=True,
        )  # fmt: skip
        try:
            found.status = process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            found.wrong.append(f"still running after {_LIMIT_S} s")
    found.seconds = time.monotonic() - started
    found.out = (folder / "out").read_bytes().decode("utf-8", "replace")
    if found.status not in (0, 1, 2):
        found.wrong.append(f"exit status {found.status}")
    if match := _OURS.search(found.out):
        found.wrong.append(match[0])
    if "\x1b" in found.out:
        found.wrong.append("an escape sequence")
    if found.status == 2 and "error: " not in found.out:
        found.wrong.append("status 2 without a word")
    if (after := _seen(place)) != before:
        found.wrong.append(f"files changed: {sorted(set(after.items()) ^ set(before.items()))[:2]}")
    if left := _left(mark):
        found.wrong.append(f"processes left: {left}")
    if names := os.listdir(temporary):
        found.wrong.append(f"temporary files left: {names}")
    return found


def _seen(folder: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            status = path.lstat()
            small = path.is_file() and not path.is_symlink() and status.st_size < 10**8
            content = sha256(path.read_bytes()).hexdigest() if small else ""
            found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, content)
    return found


def _left(mark: str) -> list[str]:
    """Processes that were started under the mark and are still there after a while; they are ended."""
    deadline = time.monotonic() + _PATIENCE_S
    while (alive := _alive(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for number, _ in alive:
        os.kill(number, signal.SIGKILL)
    return [words for _, words in alive]


def _alive(mark: str) -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX" and mark.encode() in (folder / "environ").read_bytes():
                found.append(
                    (int(folder.name), (folder / "cmdline").read_bytes().decode(errors="replace")[:60])
                )
        except OSError:
            continue
    return found
