"""However the command ends, nothing of it stays; and where nothing can be read or written, one line says so."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gradcheck.base.options import SessionOptions
from gradcheck.base.private_folder import private_folder
from gradcheck.process import child, worker
from gradcheck.process.child import run_in_child
from gradcheck.process.exchange import NO_ROOM
from gradcheck.program.errors import ProgramError

ROOT = Path(child.__file__).parents[2]
WITH_STUB = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    "from gradcheck.process import child\n"
    "from tests.cli.conftest import STUB\n"
    "child._START = STUB\n"
    "from gradcheck.cli.entry import main\n"
    "main()\n"
)
AS_USUAL = (  # whatever the one who started the tests ignores
    "import signal\n"
    "for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT): signal.signal(number, signal.SIG_DFL)\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
)
WITH_WORKERS = (
    f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
    "from gradcheck.isolation.parallel import Workers, WorkerPool\n"
    "with WorkerPool(Workers(2)) as pool:\n"
    "    held = [pool._submit(time.sleep, 60) for _ in range(4)]\n"
    "    held[-1].result()\n"
)
STARTS = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "time.sleep(60)\n"
)
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


@pytest.fixture
def mark() -> Iterator[str]:
    """Known to all that is started under it, and to nothing else."""
    mark = uuid.uuid4().hex
    yield mark
    for process in marked(mark):
        os.kill(process, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            dead = folder.joinpath("stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            if not dead and mark.encode() in folder.joinpath("environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def started(code: str, mark: str, temporary: Path, *arguments: str) -> subprocess.Popen[bytes]:
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-P", "-c", AS_USUAL + code, *arguments],
        env={**os.environ, "TMPDIR": str(temporary), "GRADCHECK_MARK": mark},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


@needs_proc
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT]
)
def test_nothing_outlives_a_report(number: int, tmp_path: Path, mark: str) -> None:
    Path(tmp_path, "program.py").write_text(STARTS)
    parent = started(WITH_STUB, mark, tmp_path / "tmp", "report", str(tmp_path / "program.py"))
    wait_for(lambda: len(marked(mark)) == 4)  # the command, its caretaker, the child, and what that started
    parent.send_signal(number)
    parent.wait(20)
    wait_for(lambda: not marked(mark))
    assert os.listdir(tmp_path / "tmp") == []
    assert sorted(os.listdir(tmp_path)) == ["program.py", "tmp"]


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_an_experiment(number: int, tmp_path: Path, mark: str) -> None:
    parent = started(WITH_WORKERS, mark, tmp_path / "tmp")
    wait_for(lambda: len(marked(mark)) >= 5)  # two workers, loky's own, the caretaker and the parent
    time.sleep(1)  # until the workers have begun
    parent.send_signal(number)
    parent.wait(20)
    wait_for(lambda: not marked(mark))
    assert os.listdir(tmp_path / "tmp") == []


def test_nohup_is_respected(tmp_path: Path, mark: str) -> None:
    Path(tmp_path, "program.py").write_text("import time\ntime.sleep(2)\n")
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + WITH_STUB
    parent = started(code, mark, tmp_path / "tmp", "report", str(tmp_path / "program.py"))
    time.sleep(1.5)
    parent.send_signal(signal.SIGHUP)
    assert parent.wait(20) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no permissions")
def test_a_private_folder_goes_even_if_it_was_made_read_only() -> None:
    with private_folder() as folder:
        (folder.path / "deep" / "er").mkdir(parents=True)
        (folder.path / "deep" / "er" / "x").touch()
        (folder.path / "deep" / "er").chmod(0)
        (folder.path / "deep").chmod(0)
    assert not folder.path.exists()


@pytest.mark.skipif(os.name != "posix", reason="elsewhere it is not known whether a process lives")
def test_what_a_killed_process_has_left_goes_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    old, young = f"gradcheck-{ended.pid}-a_b", f"gradcheck-{ended.pid}-cd"
    others = [f"gradcheck-{os.getpid()}-ab", "gradcheck-ab", "gradcheck-1-"]
    for name in (old, young, *others):
        tmp_path.joinpath(name, "deep").mkdir(parents=True)
        if name != young:
            os.utime(tmp_path / name, (0, 0))
    tmp_path.joinpath(f"gradcheck-{ended.pid}-ln").symlink_to(tmp_path / "gradcheck-ab")
    with private_folder():
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([young, f"gradcheck-{ended.pid}-ln", *others])


@pytest.mark.usefixtures("stub_session")
class TestLimits:
    def test_the_analysis_has_a_limit_though_it_goes_on_and_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(child, "ANALYSIS_S", 1.5)
        monkeypatch.setattr(child, "_ANALYSIS_PER_TIMEOUT", 0.01)
        Path("program.py").write_text("# analysis never ends\n")
        with pytest.raises(
            ProgramError, match=r"`program\.py` ran, but analysing it took longer than 1\.5 s"
        ):
            run_in_child(SessionOptions("program.py"))

    @pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
    def test_pipes_and_devices_are_no_programs(self, make, invoke) -> None:  # type: ignore[no-untyped-def]
        make("p.py")
        for command in ("report", "fix", "isolate"):
            done = invoke(command, "p.py")
            assert done.status == 2
            assert done.err.startswith("error: `p.py` is no file, but a pipe or a device\n")

    @pytest.mark.parametrize("name", ["p.py", "p.ipynb"])
    def test_a_program_is_not_endlessly_large(
        self, name: str, invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # type: ignore[no-untyped-def]
        with open(name, "wb") as file:
            file.truncate(257 * 2**20)
        done = invoke("report", name)
        assert done.status == 2
        assert done.err.startswith(f"error: `{name}` is larger than {8 if name == 'p.py' else 256} MB\n")

    def test_a_full_temporary_folder_is_one_line(self, invoke, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
        def full(*arguments: object, **options: object) -> str:
            raise OSError(errno.ENOSPC, "No space left on device")

        Path("p.py").write_text("x = 1\n")
        monkeypatch.setattr("tempfile.mkdtemp", full)
        done = invoke("report", "p.py")
        assert done.status == 2
        assert "cannot be used: No space left on device\nhelp: TMPDIR names another one" in done.err

    def test_a_result_that_has_no_room_is_one_line(self, invoke, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
        Path("p.py").write_text("x = 1\n")
        monkeypatch.setattr(child, "_START", f"import os; os._exit({NO_ROOM})")
        done = invoke("report", "p.py")
        assert (done.status, "cannot be used: no space is left" in done.err) == (2, True)


def test_a_child_without_room_ends_with_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []

    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(worker, "_write", full)
    monkeypatch.setattr(worker, "_exit", ends.append)
    monkeypatch.setattr(worker, "_result", lambda *_: {})
    worker.main(str(tmp_path))
    assert ends == [NO_ROOM]


NO_ROOM_THERE = "error: standard output cannot be used: No space left on device\n"
NOT_OPEN = "error: standard output cannot be used: Bad file descriptor\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
@pytest.mark.parametrize(
    ("words", "streams", "status", "error"),
    [
        ("report p.py", ">/dev/full", 2, NO_ROOM_THERE),
        ("report p.py", ">&-", 2, NOT_OPEN),
        ("report p.py", "2>/dev/full", 0, ""),
        ("report p.py", "2>&-", 0, ""),
        ("report p.py", ">&- 2>&-", 2, ""),
        ("report p.py", ">/dev/full 2>/dev/full", 2, ""),
        ("report p.py", "<&-", 0, ""),
        ("report p.py", "<&- >&- 2>&-", 2, ""),
        ("report p.py", "| true", 0, ""),
        # What click writes itself.
        ("--help", ">/dev/full", 2, NO_ROOM_THERE),
        ("--help", ">&-", 2, NOT_OPEN),
        ("--help", "| true", 0, ""),
    ],
)
def test_streams_that_take_nothing(tmp_path: Path, words: str, streams: str, status: int, error: str) -> None:
    Path(tmp_path, "p.py").write_text("x = 1\n")
    Path(tmp_path, "start.py").write_text(WITH_STUB)
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -P start.py {words} {streams}"],
        capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, error)
    assert sorted(os.listdir(tmp_path)) == ["p.py", "start.py"]


def test_a_folder_that_cannot_be_looked_into_has_no_settings(
    invoke, stub_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    Path("p.py").write_text("x = 1\n")
    real = os.stat

    def refused(path: object, *arguments: object, **options: object) -> os.stat_result:
        if str(path).endswith("pyproject.toml"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(os, "stat", refused)
    assert invoke("report", "p.py").status == 0
