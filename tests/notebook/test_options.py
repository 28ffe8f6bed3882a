"""The options of the magics: a mistake is told in one line, and the cell is not run."""

from __future__ import annotations

import pytest

from tests.notebook.test_checking import LOOP, SET_UP, WRONG


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--slect GC1", "No such option"),
        ("--select GC9", "there is no rule `GC9`; `gradcheck rules` lists them"),
        ("--at first", "--at: `first` is not a list of iterations; iterations count from 0: --at 0,100"),
        ("--pair dW", "--pair: `dW` is not of the form d_A=A_1"),
        ("--sweep many", "Invalid value for '--sweep'"),
        ("--fix-budget -1", "--fix-budget: -1 is not a number of seconds, 0 or more"),
        ("--loss 'y", "No closing quotation"),
        ("train.ipynb", "unexpected extra argument"),
        ("--into a-b", "--into: `a-b` is not a name; as in --into report"),
        ("--data a=b", "No such option"),
    ],
)
def test_a_mistake(notebook, capsys, options, told):
    result = notebook.run(f"%%gradcheck {options}\nran = True")
    assert not result.success
    assert "ran" not in notebook.names
    (line,) = capsys.readouterr().err.strip().split("\n")
    assert line.startswith("UsageError: %%gradcheck: ")
    assert told in line


def test_a_mistake_in_the_other_magic(notebook, capsys):
    assert not notebook.run("%gradcheck_fix --aply").success
    assert "%gradcheck_fix: No such option" in capsys.readouterr().err


def test_the_help_runs_nothing(notebook, capsys):
    assert notebook.run("%%gradcheck --help\nran = True").success
    shown = capsys.readouterr().out
    assert "ran" not in notebook.names
    for option in (
        "--at",
        "--loss",
        "--pair",
        "--sweep",
        "--samples",
        "--fix-budget",
        "--total-budget",
        "--select",
        "--no-health",
    ):
        assert option in shown
    for option in ("--cwd", "--data", "--timeout", "TARGET"):
        assert option not in shown


def test_rules_and_pairs(notebook):
    notebook.run(SET_UP + "\nsteps = []")
    assert notebook.check(f"%%gradcheck --ignore GC1 --no-health\n{WRONG}").findings == []
    report = notebook.check(f"%%gradcheck --select GC101 --fix-budget 0\n{WRONG}")
    assert [f.rule for f in report.findings] == ["GC101"]
    assert report.tables == []
    renamed = LOOP.replace("dW", "u")
    report = notebook.check(f"%%gradcheck --pair u=W --no-health --fix-budget 0\n{renamed}")
    assert {row.name: row.of for row in report.rows}["u"] == "W"


def test_the_report_can_be_kept(notebook):
    notebook.run(SET_UP + "\nsteps = []")
    report = notebook.check(f"%%gradcheck --into report --no-health --fix-budget 0\n{WRONG}")
    assert notebook.names["report"] is report
    assert list(report.gradients["verdict"]) == ["introduced", "inherited"]


def test_health_and_figures_are_in_the_page(notebook):
    notebook.run(SET_UP.replace("x @ W", "x @ W") + "\nsteps = []")
    notebook.check(f"%%gradcheck --sweep 8\n{LOOP}")
    assert "<summary>Health</summary>" in notebook.page
    assert notebook.page.count('<img src="data:image/png;base64,') >= 1
    notebook.check(f"%%gradcheck --no-health\n{LOOP}")
    assert "<summary>Health</summary>" not in notebook.page
    assert "<img" not in notebook.page


def test_a_terminal_gets_text(notebook, capsys):
    del notebook.shell.kernel
    notebook.run(SET_UP + "\nsteps = []")
    notebook.check(f"%%gradcheck --no-health\n{WRONG}")
    shown = capsys.readouterr().out
    assert notebook.pages == []
    assert "error[GC101]" in shown
    assert "%gradcheck_fix" in shown


def test_it_can_be_unloaded(notebook):
    notebook.run("%unload_ext gradcheck")
    assert not notebook.run("%%gradcheck\n1").success
