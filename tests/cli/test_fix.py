"""`gradcheck fix` from the command line to the edited file, with reports made by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gradcheck.base.options import SessionOptions
from gradcheck.checks.finding import Finding, Severity
from gradcheck.cli import run as cli_run
from gradcheck.process.child import ChildResult
from gradcheck.program.errors import ProgramError
from gradcheck.program.notebook import read_notebook
from tests.patch.made import finding, fix, notebook_text, place_of, report

SCRIPT = "a = x ** 2\nb = a @ W\nc = 1 - t\n"
Faults = Callable[..., list[Finding]]


class Runs:
    """Stands in for the child process: looks for known faults in the text as it is now."""

    def __init__(self) -> None:
        self.faults: dict[
            str, str | None
        ] = {}  # a wrong piece of text -> the right one, None if none is known
        self.sessions: list[SessionOptions] = []
        self.during: Callable[[], None] = lambda: None
        self.severity = Severity.ERROR

    def __call__(self, session: SessionOptions, *_: object) -> ChildResult:
        self.sessions.append(session)
        found = [
            finding(None, place_of(session.target, wrong, cell), severity=self.severity)
            if right is None
            else finding(fix(session.target, wrong, right, cell), severity=self.severity)
            for cell, text in self._texts(session.target)
            for wrong, right in self.faults.items()
            if wrong in text
        ]
        result = ChildResult(report(*found, target=session.target), "", "")
        self.during()
        return result

    @staticmethod
    def _texts(target: str) -> list[tuple[int | None, str]]:
        if target.endswith(".ipynb"):
            return list(enumerate(read_notebook(Path(target)).cells, start=1))
        return [(None, Path(target).read_text())]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text(SCRIPT)
    stand_in = Runs()
    monkeypatch.setattr(cli_run, "run_in_child", stand_in)
    return stand_in


PATCH = """\
--- a/a.py
+++ b/a.py
@@ -1,3 +1,3 @@
 a = x ** 2
-b = a @ W
-c = 1 - t
+b = a @ W.T
+c = 1 - t**2
"""


class TestDiff:
    def test_the_patch_is_on_standard_output_and_no_file_changes(self, invoke, runs):
        runs.faults = {"a @ W": "a @ W.T", "1 - t": "1 - t**2", "** 2": None}
        result = invoke("fix", "a.py")
        assert result.status == 1
        assert result.out == PATCH
        assert result.err == (
            "no verified fix: a.py:1:7: error[GC101]: `d_A` is not the gradient of `A`\n"
            "2 verified fixes in 1 file; --write applies them\n"
        )
        assert Path("a.py").read_text() == SCRIPT
        subprocess.run(["git", "apply"], input=result.out.encode(), check=True)
        assert Path("a.py").read_text() == "a = x ** 2\nb = a @ W.T\nc = 1 - t**2\n"

    def test_a_pipe_gets_no_colours_unless_they_are_asked_for(self, invoke, runs, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "1")
        runs.faults = {"a @ W": "a @ W.T", "1 - t": "1 - t**2"}
        assert invoke("fix", "a.py").out == PATCH

    def test_bytes_are_written_as_they_stand_in_the_file(self, runs, monkeypatch, capfdbinary):
        from gradcheck.cli.entry import main

        Path("a.py").write_bytes(b"# coding: latin-1\r\n# \xe9\r\nx = 1\r\n")
        monkeypatch.setattr(runs, "_texts", lambda target: [(None, "x = 1")])
        runs.faults = {"x = 1": "x = 2"}
        monkeypatch.setattr(sys, "argv", ["gradcheck", "fix", "a.py"])
        with pytest.raises(SystemExit):
            main()
        assert b" # \xe9\r\n-x = 1\r\n+x = 2\r\n" in capfdbinary.readouterr().out

    @pytest.mark.parametrize(
        ("faults", "severity", "status", "said"),
        [
            ({}, Severity.ERROR, 0, "nothing to fix\n"),
            ({"1 - t": None}, Severity.ERROR, 1, "no verified fix: a.py:3:"),
            ({"1 - t": None}, Severity.WARNING, 0, "no verified fix: a.py:3:"),
            ({"1 - t": "1 - t**2"}, Severity.WARNING, 1, "1 verified fix in 1 file; --write applies it"),
        ],
    )
    def test_exit_status(self, invoke, runs, faults, severity, status, said):
        runs.faults, runs.severity = faults, severity
        result = invoke("fix", "a.py", "--diff")
        assert result.status == status
        assert said in result.err
        assert bool(result.out) == any(faults.values())

    def test_overlapping_fixes_are_told(self, invoke, runs):
        runs.faults = {"a @ W": "a @ W.T", "@ W": "@ V"}
        result = invoke("fix", "a.py")
        assert "+b = a @ W.T\n" in result.out
        assert (
            "the fix at a.py:2:7 is left out: it overlaps with the one at a.py:2:5; "
            "apply that, and run again\n"
        ) in result.err

    def test_a_person_sees_colours_and_the_cells_of_a_notebook(self, invoke, runs):
        Path("a.ipynb").write_text(notebook_text("x = 1", "a = 'é'\nc = 1 - t\n"))
        runs.faults = {"1 - t": "1 - t**2"}
        piped = invoke("fix", "a.ipynb").out
        assert piped.startswith("--- a/a.ipynb\n")
        assert '-    "c = 1 - t\\n"\n' in piped
        shown = invoke("fix", "a.ipynb", "--color").out
        assert "a.ipynb [cell 2]" in shown
        assert "\x1b[32m+c = 1 - t**2\x1b[0m" in shown
        assert '+    "c = 1 - t**2\\n"' in shown

    def test_a_file_that_changes_while_it_runs_is_left_alone(self, invoke, runs):
        runs.faults = {"1 - t": "1 - t**2"}
        runs.during = lambda: Path("a.py").write_text("new = 1\n" + SCRIPT)
        for mode in ("--diff", "--write"):
            Path("a.py").write_text(SCRIPT)
            result = invoke("fix", "a.py", mode)
            assert (result.status, result.out) == (2, "")
            assert result.err.startswith("error: `a.py` has changed since it was run: line 3 is different\n")
        assert Path("a.py").read_text() == "new = 1\n" + SCRIPT

    def test_an_unusable_target_keeps_the_others_patch(self, invoke, runs):
        runs.faults = {"1 - t": "1 - t**2"}
        Path("b.py").write_text("x = 1\n")

        def fails(session: SessionOptions, *_: object) -> ChildResult:
            if session.target == "b.py":
                raise ProgramError("no manual gradient was found")
            return runs(session)

        cli_run.run_in_child = fails
        result = invoke("fix", "a.py", "b.py")
        assert result.status == 2
        assert "error: `b.py`: no manual gradient was found\n" in result.err
        assert "+c = 1 - t**2\n" in result.out
        result = invoke("fix", "a.py", "b.py", "--write")
        assert result.status == 2
        assert "nothing was written" in result.err
        assert Path("a.py").read_text() == SCRIPT


class TestWrite:
    def test_fixes_are_written_and_what_is_left_is_told(self, invoke, runs):
        runs.faults = {"a @ W\n": "a @ W.T\n", "1 - t\n": "1 - t**2\n", "** 2": None}
        result = invoke("fix", "a.py", "--write")
        assert result.status == 1
        assert result.err == ""
        assert result.out.splitlines()[-2:] == [
            "2 fixes applied, 1 finding left",
            "a.py:1:7: error[GC101]: `d_A` is not the gradient of `A`",
        ]
        assert "fixed a.py:2:5\n    - b = a @ W\n" in result.out
        assert Path("a.py").read_text() == "a = x ** 2\nb = a @ W.T\nc = 1 - t**2\n"

    @pytest.mark.parametrize("severity", list(Severity))
    def test_status_0_if_nothing_at_error_level_is_left(self, invoke, runs, severity):
        runs.faults, runs.severity = {"1 - t\n": "1 - t**2\n", "** 2": None}, severity
        assert invoke("fix", "a.py", "--write").status == (severity is Severity.ERROR)
        runs.faults = {"1 - t**2": "1 - t*t"}
        result = invoke("fix", "a.py", "--write")
        assert (result.status, result.out.splitlines()[-1]) == (0, "1 fix applied, 0 findings left")

    def test_nothing_to_fix(self, invoke, runs):
        result = invoke("fix", "a.py", "--write")
        assert (result.status, result.out) == (0, "0 fixes applied, 0 findings left\n")
        assert len(runs.sessions) == 1

    def test_faults_that_a_fix_uncovers_are_fixed_too(self, invoke, runs):
        runs.faults = {"1 - t\n": "1 - u\n", "1 - u": "1 - v", "a @ W\n": "a @ V\n"}
        result = invoke("fix", "a.py", "--write")
        assert result.status == 0
        assert result.out.splitlines()[-1] == "3 fixes applied, 0 findings left"
        assert Path("a.py").read_text() == "a = x ** 2\nb = a @ V\nc = 1 - v\n"
        assert len(runs.sessions) == 3

    def test_rounds_have_an_end(self, invoke, runs):
        runs.faults = {"1 - t\n": "1 - u\n", "1 - u\n": "1 - t\n"}
        result = invoke("fix", "a.py", "--write")
        assert result.status == 1
        assert "5 fixes applied, 1 finding left" in result.out
        assert result.err == "more verified fixes are available; run it again\n"

    def test_a_program_that_fails_afterwards_is_put_back(self, invoke, runs):
        def fails(session: SessionOptions, *_: object) -> ChildResult:
            if "t**2" in Path("a.py").read_text():
                raise ProgramError("no manual gradient was found")
            return runs(session)

        cli_run.run_in_child = fails
        runs.faults = {"1 - t": "1 - t**2"}
        result = invoke("fix", "a.py", "--write")
        assert result.status == 2
        assert "error: no manual gradient was found\n" in result.err
        assert "`a.py` was restored" in result.err
        assert Path("a.py").read_text() == SCRIPT

    def test_a_module_that_two_targets_share_is_mended_once(self, invoke, runs):
        Path("b.py").write_text("import a\n")

        def shared(session: SessionOptions, *_: object) -> ChildResult:
            return runs(SessionOptions("a.py"))

        cli_run.run_in_child = shared
        runs.faults = {"1 - t\n": "1 - t**2\n", "** 2": None}
        result = invoke("fix", "a.py", "b.py", "--write")
        assert "1 fix applied, 1 finding left" in result.out
        assert Path("a.py").read_text() == SCRIPT.replace("1 - t", "1 - t**2")

    def test_a_read_only_file(self, invoke, runs):
        Path("a.py").chmod(0o444)
        runs.faults = {"1 - t": "1 - t**2"}
        result = invoke("fix", "a.py", "--write")
        assert (result.status, result.out) == (2, "")
        assert result.err == (
            "error: `a.py` cannot be written: it is read-only\n"
            "help: no file was written; without --write the patch is only shown\n"
        )


def test_the_options_of_report_reach_the_session(invoke, runs):
    invoke(
        "fix",
        "a.py",
        "--at",
        "3",
        "--loss",
        "l",
        "--fix-budget",
        "0.5",
        "--total-budget",
        "3",
        "--select",
        "GC101",
    )
    (session,) = runs.sessions
    assert session == SessionOptions(
        "a.py", at=(3,), loss="l", fix_budget_s=0.5, total_budget_s=3.0, select=("GC101",)
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--diff", "--write"), "--diff shows the patch and --write applies it"),
        (("--fix-budget", "0"), "the search for fixes is off"),
        (("--total-budget", "0"), "the search for fixes is off"),
        (("--total-budget", "nan"), "--total-budget: nan is not a number of seconds, 0 or more"),
        (("--fix-budget", "-1"), "--fix-budget: -1 is not a number of seconds, 0 or more"),
        (("--fix-budget", "inf"), "--fix-budget: inf is not a number of seconds, 0 or more"),
    ],
)
def test_arguments_that_cannot_be_used(invoke, runs, arguments, error):
    result = invoke("fix", "a.py", *arguments)
    assert (result.status, result.out) == (2, "")
    assert error in result.err
    assert runs.sessions == []


def test_the_budget_of_pyproject(invoke, runs):
    Path("pyproject.toml").write_text("[tool.gradcheck]\nfix-budget = 0.25\ntotal-budget = 2\n")
    invoke("fix", "a.py")
    invoke("report", "a.py", "--fix-budget", "0")
    assert [(s.fix_budget_s, s.total_budget_s) for s in runs.sessions] == [(0.25, 2), (0, 2)]
    Path("pyproject.toml").write_text("[tool.gradcheck]\nfix-budget = -1\n")
    assert "`fix-budget` must be a number of seconds of 0 or more, not -1" in invoke("fix", "a.py").err


def test_help_is_a_manual_page(invoke):
    text = invoke("fix", "--help").out
    for part in ("EXIT STATUS", "EXAMPLES", "--write", "--pair", "git apply", "--fix-budget"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100
