"""The result comes back whatever the program does to its own process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gradcheck.base.errors import InternalError
from gradcheck.base.options import SessionOptions
from gradcheck.base.progress import Progress, Stage
from gradcheck.process import child
from gradcheck.process.child import run_in_child
from gradcheck.program.errors import ProgramError

pytestmark = pytest.mark.usefixtures("stub_session")


def run_text(text: str, **options: object) -> tuple[list[str], child.ChildResult]:
    Path("program.py").write_text(text)
    result = run_in_child(SessionOptions("program.py", **options))  # type: ignore[arg-type]
    return result.report.program.notes, result


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("print('x')", "completed"),
        ("import os\nfor fd in range(10):\n    try: os.close(fd)\n    except OSError: pass", "completed"),
        ("import os\nos.closerange(0, 4096)", "completed"),
        ("import sys\nsys.stdout.close()\nsys.stderr.close()", "completed"),
        ("import sys\nsys.stdout = sys.stderr = None", "completed"),
        ("import os, shutil\nos.mkdir('d')\nos.chdir('d')\nos.rmdir('../d')", "completed"),
        ("import os\nos.chdir('/')", "completed"),
        ("import os\nos._exit(3)", "exit"),
        ("import os\nif os.fork(): os.wait()\nelse: os.closerange(0, 100)", "completed"),
        ("import os, time\nif not os.fork(): time.sleep(60)", "completed"),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()", "completed"),
        ("import builtins, os, json\nbuiltins.open = os.open = os.replace = json.dumps = None", "completed"),
        ("import sys\nsys.setrecursionlimit(40)", "completed"),
        ("def f(): f()\nf()", "exception"),
        ("input()", "exception"),
        ("raise KeyboardInterrupt", "exception"),
        ("class E(BaseException):\n    def __str__(self): raise self\nraise E", "exception"),
    ],
)
def test_program_cannot_keep_the_result_from_us(text, ending, monkeypatch):
    session = "def run_report(options, on_part):\n"
    assert session in child._START
    less_patient = f"{session}    from gradcheck.program.writes import ending\n    ending.PATIENCE_S = 1.0\n"
    monkeypatch.setattr(child, "_START", child._START.replace(session, less_patient))
    started = time.monotonic()
    notes, _ = run_text(text + "\n")
    assert notes[0] == ending
    assert time.monotonic() - started < 20


def test_output_is_captured_and_bounded(monkeypatch):
    _, result = run_text(
        "import sys\nprint('out é')\nprint('err', file=sys.stderr)\nimport os\nos.write(1, b'raw')\n"
    )
    assert result.stdout == "out é\nraw"
    assert result.stderr == "err\n"
    monkeypatch.setattr(child, "_MOST_OUTPUT", 1000)
    _, result = run_text(
        "import time\nfor i in range(20):\n    print('x' * 500, flush=True)\n    time.sleep(0.01)\n"
    )
    assert result.stdout.endswith("[the rest is not shown]\n")
    assert len(result.stdout) < 1100


@pytest.mark.parametrize("own", [None, "ACTIVE"])
def test_the_program_sees_the_environment_of_the_person(
    own: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if own is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", own)
    _, result = run_text("import os\nprint(os.environ.get('OMP_WAIT_POLICY'))\n")
    assert result.stdout == f"{own}\n"


def test_time_limit_from_inside():
    notes, _ = run_text("while True: pass\n", timeout_s=0.2)
    assert notes[0] == "timeout"
    assert notes[1].startswith("still running after 0.2 s at program.py:1:")  # Python 3.13 names the `pass`


def test_time_limit_from_outside(monkeypatch):
    monkeypatch.setattr(child, "GRACE_S", 0.3)
    text = "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass\n"
    with pytest.raises(
        ProgramError, match=r"still running after 0\.2 s: it catches the exception that would stop it"
    ):
        run_text(text, timeout_s=0.2)


def test_a_program_that_kills_itself_is_the_programs_fault():
    with pytest.raises(ProgramError, match=r"`program.py` was ended by SIGSEGV before it could be analysed"):
        run_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")


def test_what_the_program_started_ends_with_it():
    _, result = run_text(
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)\n"
    )
    pid = int(result.stdout)
    deadline = time.monotonic() + 5
    while _is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_our_own_faults_are_internal_errors():
    with pytest.raises(InternalError) as raised:
        run_text("# analysis fails\n")
    assert raised.value.summary == "ZeroDivisionError: in the analysis"
    assert "run_report" in raised.value.traceback


def test_modules_beside_the_program_do_not_replace_pythons(monkeypatch):
    for name in ("json", "types", "random", "click"):
        Path(f"{name}.py").write_text("raise SystemError('the wrong module')\n")
    notes, _ = run_text("import os\n")
    assert notes[0] == "completed"


def test_nothing_is_left_behind(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    run_text("import helper\n")
    Path("helper.py").write_text("x = 1\n")
    run_text("import helper\n")
    assert sorted(os.listdir(tmp_path)) == ["helper.py", "program.py"]


def _is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    "start", [["-P", "-c", "from gradcheck.cli.entry import main; main()"], ["-m", "gradcheck"]]
)
def test_modules_in_the_current_folder_never_reach_the_command(start: list[str], tmp_path: Path) -> None:
    """Those that Python itself needs for `-m`, and a `gradcheck.py`, end `python -m` before anything of ours begins."""
    pythons_own = {
        "collections", "contextlib", "functools", "importlib", "keyword", "operator", "reprlib", "types", "warnings",
        "gradcheck",
    }  # fmt: skip
    names = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    names |= {"gradcheck", "click", "rich", "joblib", "tabulate", "matplotlib", "pandas", "scipy", "IPython"}
    for name in names - pythons_own if start[0] == "-m" else names:
        Path(f"{name}.py").write_text("raise SystemError('the wrong module')\n")
    Path("program.py").write_text("x = 1\n")
    root = str(Path(child.__file__).parents[2])
    for words in (["rules"], ["layer", "nowhere.py::L"], ["isolate", "nowhere.py"]):
        done = subprocess.run(
            [sys.executable, *start, *words], capture_output=True, text=True, check=False, timeout=60,
            env={**os.environ, "PYTHONPATH": root},
        )  # fmt: skip
        assert "wrong module" not in done.stderr
        assert "Traceback" not in done.stderr
        assert done.returncode == (0 if words == ["rules"] else 2)


def test_nor_the_workers_of_an_experiment(tmp_path: Path) -> None:
    for name in ("warnings", "joblib", "types", "random"):
        Path(f"{name}.py").write_text("raise SystemError('the wrong module')\n")
    code = (
        "import os\nfrom gradcheck.isolation.parallel import Workers, WorkerPool\n"
        "with WorkerPool(Workers(1)) as pool: print(pool._submit(os.getenv, 'PYTHONSAFEPATH').result())\n"
    )
    root = str(Path(child.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("None\n", 0)
    assert "wrong module" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system holds nobody to it")
def test_a_program_gets_no_more_memory_than_it_may_have() -> None:
    notes, _ = run_text("taken = bytearray(3 * 2**30)\n", memory_gb=1.0)
    assert notes[0] == "exception"


@pytest.mark.parametrize("goes_on", [True, False])
def test_each_case_of_a_layer_has_its_own_time(monkeypatch, tmp_path, goes_on):
    monkeypatch.setattr(child, "GRACE_S", 0.0)
    monkeypatch.setattr(child, "_POLL_S", 0.01)
    asked = []

    def wait(seconds):
        asked.append(time.sleep(seconds))
        if len(asked) < 30:
            raise subprocess.TimeoutExpired("python", seconds)
        return 0

    def read(path):
        return Progress(Stage.CHECKING, f"case {len(asked) // 5 if goes_on else 0}")

    monkeypatch.setattr(child.progress, "read", read)
    process, options = SimpleNamespace(wait=wait), SessionOptions("layers.py", timeout_s=0.15)
    if goes_on:
        assert child._wait(process, tmp_path, options, lambda heard: None) == 0
    else:
        with pytest.raises(ProgramError, match=r"`layers.py`: case 0 took longer than 0\.15 s"):
            child._wait(process, tmp_path, options, lambda heard: None)


def test_a_signal_that_leaves_the_lock_of_the_process_held_stops_nothing():
    """It may come between taking the lock and what gives it back: waiting without a limit would never end."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    process._waitpid_lock.acquire()
    begun = time.monotonic()
    child._kill_group(process)
    assert time.monotonic() - begun < 10
    process._waitpid_lock.release()
    assert process.wait(10) == -9
