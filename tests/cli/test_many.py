"""Many targets in one run: side by side, in their order, and none that spoils the others."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gradcheck.base.options import SessionOptions
from gradcheck.cli import run as cli_run
from gradcheck.isolation.parallel import Submit, Workers
from gradcheck.process.child import StoppedError, run_in_child
from tests.cli.conftest import Invoke

pytestmark = pytest.mark.usefixtures("stub_session")


def test_they_come_in_their_order_and_failures_are_rows(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    Path("a.py").write_text("import time\ntime.sleep(0.5)\n")
    Path("b.py").write_text("x = (\n")
    Path("c.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    Path("d.py").write_text("# finding\n")
    done = invoke("report", "a.py", "b.py", "c.py", "d.py", "--jobs", "4", "--quiet")
    assert done.status == 2
    lines = done.out.splitlines()
    rows = [line.split()[:2] for line in lines[lines.index("") + 2 :] if ".py" in line]
    assert rows == [["a.py", "incomplete"], ["b.py", "failed"], ["c.py", "failed"], ["d.py", "wrong"]]
    assert done.err.index("b.py") < done.err.index("c.py")


def test_pages_have_an_index_beside_them(invoke: Invoke) -> None:
    for name in ("a.py", "b.py"):
        Path(name).write_text("x = 1\n")
    assert invoke("report", "a.py", "b.py", "--format", "html", "--format", "markdown").status == 0
    assert sorted(path.name for path in Path("reports").iterdir()) == [
        "a.html", "a.md", "b.html", "b.md", "index.html", "index.md",
    ]  # fmt: skip
    assert '<a href="a.html">a.py</a>' in Path("reports/index.html").read_text()
    assert "[a.py](<a.md>)" in Path("reports/index.md").read_text()
    assert invoke("report", "a.py", "b.py", "--format", "html", "--format", "markdown").status == 0


def test_what_is_finished_is_not_made_again(invoke: Invoke) -> None:
    """Each program notes in a file of its own that it ran."""
    for name in "abc":
        Path(f"{name}.py").write_text(
            f"import helper\nopen('{Path.cwd()}/{name}.txt', 'w').close()\n# finding\n"
        )
    Path("helper.py").write_text("x = 1\n")

    def ran(*options: str) -> str:
        targets = ("a.py", "b.py", "c.py")
        done = invoke("report", *targets, "--allow-writes", "--resume", "--format", "html", *options)
        assert done.status == 1
        assert all(f"wrote reports/{name}.html" in done.err for name in "abc")  # from what was kept
        notes = [Path(f"{name}.txt") for name in "abc" if Path(f"{name}.txt").exists()]
        for note in notes:
            note.unlink()
        return "".join(note.stem for note in notes)

    assert ran() == "abc"
    assert ran() == ""
    assert ran("--jobs", "3") == ""
    assert ran("--at", "1") == "abc"
    Path("b.py").write_text(Path("b.py").read_text() + "\n")
    assert ran("--at", "1") == "b"
    Path("helper.py").write_text("x = 2\n")
    assert ran("--at", "1") == "abc"
    (kept,) = Path("reports/finished").glob("c-*.json")
    assert json.loads(kept.read_text())["target"] == "c.py"
    kept.write_text(kept.read_text()[:300])  # cut off, by a machine that lost its power
    assert ran("--at", "1") == "c"
    kept.write_text("mine")
    assert ran("--at", "1") == "c"
    assert kept.read_text() == "mine"


def test_workers_of_a_cluster_make_the_reports(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of them, and what they find, goes over a wire."""
    asked = []

    @contextmanager
    def cluster(workers: Workers) -> Iterator[Submit]:
        asked.append(workers)
        pool = ThreadPoolExecutor(2)

        def run(sent: bytes) -> Any:
            function, argument = pickle.loads(sent)
            return pickle.loads(pickle.dumps(function(argument)))

        yield lambda function, argument: pool.submit(run, pickle.dumps((function, argument)))

    monkeypatch.setattr(cli_run, "cluster", cluster)
    Path("a.py").write_text("x = 1\n")
    Path("b.py").write_text("x = (\n")
    Path("c.py").write_text("# finding\n")
    done = invoke(
        "report", "a.py", "b.py", "c.py", "--backend", "dask", "--scheduler", "tcp://1:2", "--quiet"
    )
    lines = done.out.splitlines()
    rows = [line.split()[:2] for line in lines[lines.index("") + 2 :] if ".py" in line]
    assert rows == [["a.py", "incomplete"], ["b.py", "failed"], ["c.py", "wrong"]]
    assert "b.py" in done.err
    assert "was never closed" in done.err
    assert asked == [Workers(1, "dask", "tcp://1:2")]
    assert "--backend dask" in invoke("report", "a.py", "--scheduler", "tcp://1:2").err


def test_a_target_that_failed_is_tried_again(invoke: Invoke) -> None:
    Path("a.py").write_text("x = (\n")
    for _ in range(2):
        done = invoke("report", "a.py", "--resume")
        assert done.status == 2
        assert "--resume: 0 of 1 report had been made before" in done.err


def test_a_solution_without_a_right_gradient_is_none(invoke: Invoke) -> None:
    Path("a.py").write_text("x = 1\n")
    done = invoke("report", "a.py", "--against", "a.py")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: --against: no gradient of `a.py` is right, so it is no solution\n")


def test_one_that_is_no_longer_wanted_is_ended() -> None:
    Path("a.py").write_text("import time\ntime.sleep(60)\n")
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(StoppedError):
        run_in_child(SessionOptions("a.py"), stop=stop)
    assert time.monotonic() - begun < 20


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="no Ctrl-C")
def test_an_interrupt_ends_all_of_them(command: Callable[..., object], tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Path(f"{name}.py").write_text(
            f"import time\nopen('{tmp_path}/{name}', 'w').close()\ntime.sleep(60)\n"
        )
    root = str(Path(__file__).parents[2])
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # a test's worker ignores it
    start += f"import sys; sys.path.insert(0, {root!r}); from gradcheck.cli.entry import main; main()"
    arguments = ["report", "a.py", "b.py", "c.py", "--jobs", "2", "--allow-writes"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", start, *arguments], start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (Path("a").exists() and Path("b").exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not Path("c").exists()


def test_the_program_gets_its_arguments(invoke: Invoke) -> None:
    Path("a.py").write_text("import sys\nprint(sys.argv[1:])\n")
    done = invoke("report", "a.py", "--show-output", "--", "--epochs", "1", "a b")
    assert done.status == 0
    assert "['--epochs', '1', 'a b']" in done.err
    assert "[]" in invoke("report", "a.py", "--show-output").err
