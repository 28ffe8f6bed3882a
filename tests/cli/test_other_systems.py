"""What Windows and macOS lack is taken away before the command starts, and it does without."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gradcheck.process import child

ROOT = Path(child.__file__).parents[2]
# `signal.SIGKILL` and `os.register_at_fork` stay: here, Python and torch themselves need them.
LESS = """\
import os, signal, sys, sysconfig
sysconfig.get_config_vars()
for module, names in {
    os: "killpg fork forkpty getuid geteuid getgid fchmod fchown chown lchown setsid getpgid getpgrp setpgid listxattr "
        "mkfifo O_CLOEXEC O_NONBLOCK O_NOFOLLOW O_DIRECTORY O_PATH O_NOCTTY statvfs pread pwrite",
    signal: "SIGALRM SIGHUP SIGQUIT SIGUSR1 SIGCHLD setitimer ITIMER_REAL alarm pthread_kill pthread_sigmask pause",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
readlink = os.readlink
def without_proc(path, **options):
    if str(path).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", path)
    return readlink(path, **options)
os.readlink = without_proc
sys.platform = "another"
os.supports_dir_fd.clear()  # so that `shutil` removes folders by their paths
"""
WRONG = """\
import torch
torch.manual_seed(0)
x, wanted = torch.randn(32, 10), torch.randn(32, 1)
first, second = torch.randn(10, 20) * 0.3, torch.randn(20, 1) * 0.3
for epoch in range(3):
    h = torch.tanh(x @ first)
    out = h @ second
    loss = ((out - wanted) ** 2).mean()
    dout = 2 * (out - wanted) / 32
    dsecond = h.T @ dout
    dh = dout @ second.T
    dfirst = x.T @ (dh * (1 - h))
    first -= 0.1 * dfirst
    second -= 0.1 * dsecond
"""


@pytest.fixture
def less(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "less"
    folder.mkdir()
    folder.joinpath("sitecustomize.py").write_text(LESS)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def _gradcheck(less: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gradcheck", *arguments]
    return subprocess.run(command, env=less, capture_output=True, text=True, timeout=120, check=False)


def test_a_fault_is_found_and_mended(tmp_path: Path, less: dict[str, str]) -> None:
    program = tmp_path / "program.py"
    program.write_text(WRONG)
    ran = _gradcheck(less, "fix", str(program), "--write")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert program.read_text() == WRONG.replace("(1 - h)", "(1 - h**2)")


def test_the_time_limit_is_kept_without_timers(tmp_path: Path, less: dict[str, str]) -> None:
    program = tmp_path / "program.py"
    program.write_text("import time\nwhile True:\n    time.sleep(0.01)\n")
    ran = _gradcheck(less, "report", str(program), "--timeout", "1")
    assert ran.returncode == 2
    assert "still running after 1 s at" in ran.stderr
    assert "program.py:3" in ran.stderr


def test_a_worker_looks_itself_whether_its_parent_is_there(tmp_path: Path, less: dict[str, str]) -> None:
    pid = tmp_path / "pid"
    worker = (
        "import os, sys, time; from gradcheck.base.parent_death import end_with_parent; end_with_parent(os.getppid()); "
        "open(sys.argv[1] + '.new', 'w').write(str(os.getpid())); os.rename(sys.argv[1] + '.new', sys.argv[1]); "
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}, {str(pid)!r}])",
        ],
        env=less,
    )
    _wait(pid.exists)
    number = int(pid.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait(20)
    _wait(lambda: not _lives(number))


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_path_is_put_together_with_a_slash() -> None:
    """Windows has another sign: what begins with a folder and a slash would be below none."""
    for file in (ROOT / "gradcheck").rglob("*.py"):
        assert not re.search(r'\) \+ "/"|"/\w+-packages', file.read_text(encoding="utf-8")), file
