"""The first command that somebody tries."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck.cli import run as cli_run
from gradcheck.process.child import ChildResult
from gradcheck.report.model import Report
from tests.cli.conftest import Invoke


@pytest.fixture(autouse=True)
def targets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    monkeypatch.chdir(tmp_path)
    found: list[str] = []

    def run(session, *rest: object) -> ChildResult:  # type: ignore[no-untyped-def]
        found.append(session.target)
        return ChildResult(Report(session.target), "", "")

    monkeypatch.setattr(cli_run, "run_in_child", run)
    return found


def test_it_writes_the_example_and_reports_on_it(invoke: Invoke, targets: list[str]) -> None:
    done = invoke("demo")
    assert (done.status, targets) == (0, ["gradcheck-demo/day70.ipynb"])
    assert sorted(p.as_posix() for p in Path("gradcheck-demo").rglob("*.*")) == [
        "gradcheck-demo/data/names.txt", "gradcheck-demo/day70.ipynb", "gradcheck-demo/day70.py",
    ]  # fmt: skip
    assert "gradcheck fix gradcheck-demo/day70.ipynb" in done.out
    assert invoke("demo").status == 0  # once more


def test_it_writes_over_nothing(invoke: Invoke, targets: list[str]) -> None:
    Path("mine").mkdir()
    Path("mine/day70.py").write_text("mine")
    done = invoke("demo", "mine")
    assert (done.status, targets) == (2, [])
    assert "`mine/day70.py` is there already, and is another file" in done.err
    assert [p.name for p in Path("mine").iterdir()] == ["day70.py"]


def test_without_a_command_there_is_help(invoke: Invoke) -> None:
    done = invoke()
    assert done.status == 0
    assert "Commands:" in done.out
    assert done.out == invoke("--help").out
