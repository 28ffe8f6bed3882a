"""How far the child is, from its own words to the parent's terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from gradcheck.base import progress
from gradcheck.base.options import SessionOptions
from gradcheck.base.progress import Progress, Stage
from gradcheck.cli.run import shown_progress
from gradcheck.process import child
from gradcheck.process.child import run_in_child


@pytest.fixture
def said(tmp_path, monkeypatch):
    """The file of a process that has a parent waiting."""
    monkeypatch.setattr(progress, "_path", None)
    monkeypatch.setattr(progress, "_process", 0)
    path = str(tmp_path / "progress.txt")
    progress.write_to(path)
    return path


def test_the_last_step_is_read(said):
    assert progress.read(said) is None
    progress.say(Stage.RUNNING)
    assert progress.read(said) == Progress(Stage.RUNNING)
    progress.say(Stage.DIAGNOSING, "searching for a fix:\n\tδ_1 (2 of 4)")
    assert progress.read(said) == Progress(Stage.DIAGNOSING, "searching for a fix: δ_1 (2 of 4)")
    with open(said, "a") as file:
        file.write("analys")  # being written at this moment
    assert progress.read(said) is not None
    assert progress.read(said).stage is Stage.DIAGNOSING


def test_a_process_that_was_forked_off_says_nothing(said, monkeypatch):
    monkeypatch.setattr(progress, "_process", 1)
    progress.say(Stage.RUNNING)
    assert not Path(said).exists()


@pytest.mark.parametrize(
    ("detail", "fraction"),
    [("", None), ("d_A (1 of 4)", 0.0), ("d_A (4 of 4)", 0.75), ("(2 of 4) d_A", None), ("d (1 of 0)", None)],
)
def test_how_much_is_done(detail, fraction):
    assert Progress(Stage.DIAGNOSING, detail).fraction == fraction


@pytest.mark.usefixtures("stub_session")
def test_the_parent_hears_every_step(monkeypatch):
    details = ("d_A (1 of 2)", "d_B (2 of 2)")
    words = "".join(
        f"    progress.say(progress.Stage.DIAGNOSING, {detail!r}); time.sleep(0.3)\n" for detail in details
    )
    start = child._START.replace(
        "    outcome = run",
        f"    from gradcheck.base import progress\n    import time\n{words}    outcome = run",
    )
    monkeypatch.setattr(child, "_START", start)
    Path("program.py").write_text("x = 1\n")
    heard: list[Progress] = []
    run_in_child(SessionOptions("program.py"), heard.append)
    assert [now.detail for now in heard if now.stage is Stage.DIAGNOSING] == list(details)


def test_the_terminal_shows_a_bar_where_it_is_known_how_much_is_left():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)
    with shown_progress("a[b].py", console) as show:
        show(Progress(Stage.RUNNING))
        show(Progress(Stage.DIAGNOSING, "searching for a fix: d_A_1 (3 of 4)"))
    text = stream.getvalue()
    assert "running a[b].py" in text
    drawn = text.split("\r")
    running = next(line for line in drawn if "running" in line)
    searching = next(line for line in drawn if "searching for a fix: d_A_1 (3 of 4)" in line)
    assert "━" not in running
    assert "━━━━" in searching


def test_colour_that_is_forced_makes_no_terminal_of_a_file(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with shown_progress("a.py") as show:
        show(Progress(Stage.RUNNING))
    assert capfd.readouterr().err == ""
