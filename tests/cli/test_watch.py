"""`gradcheck watch` reports when a file of the program is saved, whatever state an editor leaves it in meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gradcheck.base.options import SessionOptions
from gradcheck.cli import watch
from gradcheck.cli.options import CommonOptions
from gradcheck.process import child

pytestmark = pytest.mark.usefixtures("stub_session")


def rounds(number: int) -> Callable[[], bool]:
    left = iter(range(number))
    return lambda: next(left, None) is not None


def watched(number: int, *, changes: Callable[[], None]) -> int:
    options = CommonOptions((SessionOptions("a.py"),), False, False, None)
    thread = threading.Thread(target=changes)
    thread.start()
    try:
        return watch.watch(options, False, rounds(number))
    finally:
        thread.join()


def saved(name: str, text: str, wait: float = 1.5) -> None:
    """As editors do: the file is away for a moment."""
    time.sleep(wait)
    Path(name).unlink(missing_ok=True)
    Path(f"{name}~").write_text(text)
    os.replace(f"{name}~", name)


def test_it_reports_on_what_is_saved(capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.py").write_text("import b\nprint(b.x)\n")
    Path("b.py").write_text("x = 1\n")
    assert watched(3, changes=lambda: (saved("b.py", "x = 2\n"), saved("a.py", "# finding\n"))) == 0
    out, err = capfd.readouterr()
    assert out.count("a.py: no manual gradient was found") == 3
    assert out.count("error[GC101]") == 1
    assert err.count("watching 2 files; Ctrl-C ends it\n") == 2


def test_a_file_that_is_not_whole_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.py").write_text("x = 1\n")
    watched(3, changes=lambda: (saved("a.py", "x = (\n"), saved("a.py", "x = 2\n")))
    out, err = capfd.readouterr()
    assert err.count("error: a.py:1: '(' was never closed\n") == 1
    assert out.count("a.py: no manual gradient was found") == 2


def test_a_warm_child_has_imported_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    started = child._START.replace(
        "import gradcheck.process.worker\n", "import gradcheck.process.worker\nopen('imported', 'w')\n"
    )
    monkeypatch.setattr(child, "_START", started)
    Path("a.py").write_text("x = 1\n")
    with child.waiting_child(warm=True) as waiting:
        deadline = time.monotonic() + 20
        while not Path("imported").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        assert waiting.process.poll() is None
        report = child.run_in_child(SessionOptions("a.py"), waiting=waiting).report
    assert report.target == "a.py"
    assert waiting.process.poll() is not None
