"""The command line and the child process, with a session that runs the program but analyses nothing.

The real session imports torch, which takes two seconds per child; everything between the two processes is
the same without it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gradcheck.cli import entry as cli
from gradcheck.process import child

STUB = """
import sys, types
sys.path.insert(0, sys.argv[1])

class Nobody:
    attention = False
    def __getattr__(self, name): return lambda *arguments: None

def run_report(options, on_part):
    from dataclasses import asdict
    from gradcheck.program.program import load
    from gradcheck.program.runner import run
    from gradcheck.program.target import parse_target
    from gradcheck.report.model import Report
    from gradcheck.report.program_section import ProgramSection
    program = load(parse_target(options.target), options.cwd, options.arguments)
    limits = dict(timeout_s=options.timeout_s, data=options.data, allow_writes=options.allow_writes)
    outcome = run(program, Nobody(), **limits)
    if program.contains("# analysis fails"):
        raise ZeroDivisionError("in the analysis")
    if program.contains("# in parts"):
        on_part(Report(options.target, program=ProgramSection(notes=["a part"])))
    while program.contains("# analysis never ends"):
        import time
        from gradcheck.base import progress
        progress.say(progress.Stage.ANALYSING, str(time.monotonic()))
        time.sleep(0.01)
    if program.contains("# finding"):
        from gradcheck.checks.finding import Finding, Severity
        from gradcheck.program.location import Location
        place = Location("program.py", None, 1, 1, 1, 2)
        findings = [Finding("GC101", "wrong-gradient", Severity.ERROR, place, "`dW` is wrong")]
    else:
        findings = []
    notes = [outcome.ended.value, outcome.explanation, *map(str, outcome.faults), repr(asdict(options))]
    return Report(options.target, findings=findings, program=ProgramSection(notes=notes))

session = types.ModuleType("gradcheck.analysis.session")
session.run_report = run_report
import gradcheck.process.worker
sys.modules["gradcheck.analysis.session"] = session
sys.path.remove(sys.argv[1])
gradcheck.process.worker.main(sys.argv[2], *sys.argv[3:])
"""


@pytest.fixture
def stub_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(child, "_START", STUB)
    monkeypatch.chdir(tmp_path)


Invoke = Callable[..., SimpleNamespace]


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs the command line in this process: `status`, `out` and `err`."""

    def run(*arguments: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["gradcheck", *arguments])
        handlers = {
            number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
        }
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        out, err = capfd.readouterr()
        return SimpleNamespace(status=exit_.value.code, out=out, err=err)

    return run


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m gradcheck` as a process of its own."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        root = str(Path(cli.__file__).parents[2])
        start = f"import sys; sys.path.insert(0, {root!r}); from gradcheck.cli.entry import main; main()"
        return subprocess.run(
            [sys.executable, "-P", "-c", start, *arguments],
            capture_output=True, text=True, check=False, timeout=60, **options,  # type: ignore[call-overload]
        )  # fmt: skip

    return run
