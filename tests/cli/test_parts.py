"""A report that is still in the making: shown meanwhile, and left by Ctrl-C."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from gradcheck.base.options import SessionOptions
from gradcheck.base.progress import Progress, Stage
from gradcheck.cli import run as cli_run
from gradcheck.process.child import ChildResult, run_in_child
from gradcheck.report.model import Report
from gradcheck.report.sentences import gaps
from tests.report.samples import faulty

STEP = """
import torch
torch.manual_seed(0)
W, b = torch.randn(4, 3), torch.zeros(3)
x, y = torch.randn(8, 4), torch.randn(8, 3)
for step in range(3):
    h = x @ W + b
    a = torch.tanh(h)
    loss = ((a - y) ** 2).mean()
    da = 2 * (a - y) / a.numel()
    dh = da * (1 - a)
    dW = x.T @ dh
    db = dh.sum(1)
    W -= 0.1 * dW
"""


def interrupt(part: Report) -> None:
    raise KeyboardInterrupt


def test_verdicts_then_findings_then_fixes(tmp_path: Path, forked: None) -> None:
    (tmp_path / "step.py").write_text(STEP)
    options, parts = SessionOptions(str(tmp_path / "step.py")), []
    report = run_in_child(options, on_part=parts.append).report
    assert parts
    for part in parts:  # which of them are seen depends on how fast they come
        assert [(r.name, r.verdict) for r in part.rows] == [(r.name, r.verdict) for r in report.rows]
        assert len(part.findings) >= len(report.findings)
    assert not gaps(report)
    assert report.to_dict() == run_in_child(options).report.to_dict()


@pytest.mark.usefixtures("stub_session")
class TestInterrupted:
    def test_what_there_is_is_left(self) -> None:
        Path("program.py").write_text("print('x')  # in parts\n# analysis never ends\n")
        result = run_in_child(SessionOptions("program.py"), on_part=interrupt)
        assert result.report.program.notes == ["a part"]
        assert result.stdout == "x\n"
        assert gaps(result.report)[1:] == ["it was stopped while its gradients were judged"]

    def test_where_there_is_nothing_yet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def stopped(now: Progress) -> None:
            raise KeyboardInterrupt

        Path("program.py").write_text("print('x')\n# analysis never ends\n")
        with pytest.raises(KeyboardInterrupt):
            run_in_child(SessionOptions("program.py"), stopped, on_part=interrupt)

    def test_who_wants_all_of_it_gets_no_part(self) -> None:
        def stopped(now: Progress) -> None:
            if now.stage is Stage.ANALYSING:
                raise KeyboardInterrupt

        Path("program.py").write_text("print('x')  # in parts\n# analysis never ends\n")
        with pytest.raises(KeyboardInterrupt):
            run_in_child(SessionOptions("program.py"), stopped)

    def test_the_report_is_written_and_the_others_are_not_made(self, invoke, monkeypatch) -> None:
        def interrupted(session: SessionOptions, *_: object) -> ChildResult:
            report = faulty()
            report.target, report.program.stopped = session.target, "causes and fixes were looked for"
            return ChildResult(report, "", "")

        monkeypatch.setattr(cli_run, "run_in_child", interrupted)
        for name in ("a.py", "b.py"):
            Path(name).write_text("x = 1\n")
        result = invoke("report", "a.py", "b.py", "--format", "json", "--output", "all.json")
        assert result.status == 130
        (left,) = json.loads(Path("all.json").read_text())
        assert left["target"] == "a.py"
        assert "it was stopped while causes and fixes were looked for" in left["incomplete"]


def test_a_terminal_shows_what_there_is_and_forgets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120, height=60)
    with cli_run.shown_progress("step.py", console) as show:
        show.part(faulty())
        show(Progress(Stage.DIAGNOSING))
        shown = file.getvalue()
    assert "verdict" in shown
    assert "looking for the causes in step.py" in shown
    cleared = file.getvalue()[len(shown) :]
    assert cleared.count("\x1b[2K") >= shown.count("\n") // 2  # the lines are erased at the end
