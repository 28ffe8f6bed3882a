"""Comments in whole programs: scripts, notebooks and the modules they import."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gradcheck.analysis import session
from gradcheck.base.options import SessionOptions
from gradcheck.checks.finding import Finding
from gradcheck.checks.rule import Evidence
from gradcheck.judge.judgement import Judgement
from gradcheck.report.model import Report
from tests.support import report_on_source, torch_settings_kept

SETUP = """\
import torch
torch.manual_seed(0)
X, Y = torch.randn(8, 3), torch.randint(0, 4, (8,))
W1, W2 = torch.randn(3, 5) * 0.3, torch.randn(5, 4) * 0.3
"""
STEP = """\
h = torch.tanh(X @ W1)
logits = h @ W2
loss = torch.nn.functional.cross_entropy(logits, Y)
dlogits = (torch.softmax(logits, 1) - torch.eye(4)[Y]) / 8
dW2 = h.T @ dlogits * 1.5{first}
dz = (
    (dlogits @ W2.T) * (1 - h)
){second}
dW1 = X.T @ dz
W1 -= 0.1 * dW1
W2 -= 0.1 * dW2
"""
IGNORE = "  # gradcheck: ignore[GC101]"


def rules(report: Report) -> list[tuple[str, int]]:
    return [(finding.rule, finding.location.line) for finding in report.findings]


def suppressed(report: Report) -> list[tuple[str, int, int]]:
    return [(s.finding.rule, s.finding.location.line, s.comment.line) for s in report.suppressed]


def on_files(target: Path, **options: object) -> Report:
    with torch_settings_kept():
        return session.run_report(SessionOptions(str(target), fix_budget_s=0.0, **options))  # type: ignore[arg-type]


def notebook(path: Path, *cells: str) -> Path:
    made = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_without_comments_both_lines_are_found() -> None:
    report = report_on_source(SETUP + STEP.format(first="", second=""))
    assert rules(report) == [("GC101", 9), ("GC101", 11)]
    assert (report.exit_status, report.suppressed) == (1, [])


def test_what_is_suppressed_does_not_count(tmp_path: Path) -> None:
    report = report_on_source(SETUP + STEP.format(first=IGNORE, second=""))
    assert (rules(report), suppressed(report), report.exit_status) == ([("GC101", 11)], [("GC101", 9, 9)], 1)
    report = report_on_source(SETUP + STEP.format(first=IGNORE, second=IGNORE))
    assert (rules(report), report.exit_status) == ([], 0)
    assert suppressed(report) == [("GC101", 9, 9), ("GC101", 11, 12)]
    assert report.summary["errors"] == 0


def test_a_comment_that_silences_nothing_is_a_note() -> None:
    report = report_on_source(
        SETUP + STEP.format(first=IGNORE, second=IGNORE).replace("/ 8", "/ 8" + IGNORE), fix_budget_s=0.0
    )
    assert (rules(report), report.exit_status) == ([("GC001", 8)], 0)
    assert report.excerpt(report.findings[0].location) is not None


def test_the_line_that_counts_is_the_one_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for causes may move a finding to a forward line; that is where the person sees it."""

    def moved(judgement: Judgement, findings: Sequence[Finding], *rest: object) -> list[Finding]:
        for finding in findings:
            finding.location = replace(finding.location, line=5, end_line=5)
        return list(findings)

    monkeypatch.setattr(session, "diagnose", moved)
    step = STEP.format(first=IGNORE, second="").replace("(X @ W1)\n", f"(X @ W1){IGNORE}\n")
    report = report_on_source(SETUP + step)
    assert suppressed(report) == [("GC101", 5, 5), ("GC101", 5, 5)]
    assert rules(report) == [("GC001", 9)]


def test_comments_in_notebooks(tmp_path: Path) -> None:
    step = STEP.format(first=IGNORE, second="")
    path = notebook(
        tmp_path / "n.ipynb", SETUP, "%matplotlib inline\nx = '# gradcheck: ignore'", "!ls\n" + step
    )
    report = on_files(path)
    assert (rules(report), suppressed(report)) == ([("GC101", 8)], [("GC101", 6, 6)])
    assert report.suppressed[0].comment.cell == 3


def test_comments_in_a_module_of_the_person(tmp_path: Path) -> None:
    (tmp_path / "layers_beside.py").write_text(
        f"def backward(h, dlogits):\n    return h.T @ dlogits * 1.5{IGNORE}\n\n"
        f"def never_called(h):\n    return h * 2{IGNORE}\n"
    )
    step = STEP.format(first="", second=IGNORE).replace("h.T @ dlogits * 1.5", "backward(h, dlogits)")
    (tmp_path / "main.py").write_text(f"from layers_beside import backward\n{SETUP}{step}")
    report = on_files(tmp_path / "main.py")
    assert rules(report) == []
    assert [Path(s.comment.file).name for s in report.suppressed] == ["layers_beside.py", "main.py"]


def test_rules_that_were_off(tmp_path: Path) -> None:
    text = SETUP + STEP.format(first=IGNORE, second=IGNORE)
    report = report_on_source(text, ignore=("GC101",))
    assert (report.findings, report.suppressed) == ([], [])


@pytest.mark.parametrize(
    ("first", "ignore", "state", "looked_at"),
    [
        ("", (), "not triggered", ""),
        (IGNORE, (), "passed", "1 comment"),
        (IGNORE, ("GC001",), "not selected", ""),
        ("  # gradcheck: ignore[GC101, GC102]", (), "found", "1 comment"),
    ],
)
def test_the_state_of_the_rule_about_comments(
    first: str, ignore: tuple[str, ...], state: str, looked_at: str
) -> None:
    report = report_on_source(SETUP + STEP.format(first=first, second=""), ignore=ignore)
    own, wrong = (next(c for c in report.checks if c.rule == rule) for rule in ("GC001", "GC101"))
    assert (own.state, own.looked_at, own.findings) == (state, looked_at, int(state == "found"))
    assert (wrong.state, wrong.findings) == ("found", 2)  # suppressed or not


def test_thresholds_reach_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def run_checks(evidence: Evidence, *selection: object) -> list[object]:
        seen.append(evidence.thresholds["GC202.tanh-limit"])
        return []

    monkeypatch.setattr(session, "run_checks", run_checks)
    for thresholds in ({}, {"GC202.tanh-limit": 0.5}):
        report_on_source(SETUP + STEP.format(first="", second=""), thresholds=thresholds)
    assert seen == [0.97, 0.5]
