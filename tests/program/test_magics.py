"""IPython's syntax is taken out; lines and columns of everything else stay."""

from __future__ import annotations

import ast

import pytest

from gradcheck.program.magics import strip_magics


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("%matplotlib inline", "pass"),
        ("    !pip install torch", "    pass"),
        ("files = !ls -l", "files = []"),
        ("t = %timeit -o f(x)", "t = None"),
        ("?torch.cat", "pass"),
        ("torch.cat??", "pass"),
        ("pip install einops", "pass"),
        ("%time y = f(x)", "if 1: y = f(x)"),
        ("%timeit -n 10 -r3 f(x)", "if 1:             f(x)"),
        ("%time for i in y: f(i)", "pass"),
    ],
)
def test_line(line, plain):
    text = f"if x:\n    pass\n{line}\n" if line[0] != " " else f"if x:\n{line}\n"
    stripped, skipped = strip_magics(text, 4)
    number = 3 if line[0] != " " else 2
    assert stripped.split("\n")[number - 1] == plain
    assert [(s.cell, s.line, s.text) for s in skipped] == [(4, number, line.strip())]
    ast.parse(stripped)


def test_plain_python_is_untouched():
    text = "x = (a\n  % b)\ns = '''\n!not a shell line\n%nor a magic\n'''\ny = 'what?'\n"
    assert strip_magics(text, 1) == (text, [])


def test_operators_and_strings_beside_a_magic_are_untouched():
    text = "%matplotlib inline\nx = (a\n  % b)\ns = '''\n!no\n'''\ny = x \\\n  % z  # isn't\n"
    text += "!ls 'unclosed\nz = 1\n"
    stripped, skipped = strip_magics(text, 1)
    assert stripped == text.replace("%matplotlib inline", "pass").replace("!ls 'unclosed", "pass")
    assert [s.line for s in skipped] == [1, 9]


def test_continued_shell_line_keeps_the_line_count():
    stripped, skipped = strip_magics("!pip install \\\n  a \\\n  b\nx = 1\n", 1)
    assert stripped == "pass\n\n\nx = 1\n"
    assert len(skipped) == 1


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "%%timeit -n 1"])
def test_transparent_cell_magic_keeps_the_body(magic):
    stripped, skipped = strip_magics(f"\n{magic}\nx = 1\n%pip list\n", 2)
    assert stripped == "\n\nx = 1\npass\n"
    assert [s.line for s in skipped] == [2, 4]


@pytest.mark.parametrize("magic", ["%%bash", "%%html", "%%writefile m.py", "%%time\n%%bash"])
def test_other_cell_magic_skips_the_cell(magic):
    stripped, skipped = strip_magics(f"{magic}\nx = 1\n", 2)
    assert not stripped.strip()
    assert stripped.count("\n") == magic.count("\n") + 2
    assert skipped[-1].reason == "the whole cell is not run"


def test_a_cell_that_is_to_be_checked_runs_like_any_other():
    plain, skipped = strip_magics("%%gradcheck --at 3\nx = 1\n", 2)
    assert plain == "\nx = 1\n"
    assert [(s.line, s.reason) for s in skipped] == [(1, "the cell runs once, without it")]


def test_magics_that_are_run_stand_on_their_own_lines():
    text = "if a:\n    !ls \\\n      -l\n%time x = 1\nfiles = !ls\ny = 2"
    plain, skipped = strip_magics(text, 1, lambda statement: f"run({statement!r})\n")
    assert plain.split("\n") == [
        "if a:",
        "    run('!ls \\\\\\n      -l')",
        "",
        "if 1: x = 1",
        "run('files = !ls')",
        "y = 2",
    ]
    assert [(s.line, s.reason) for s in skipped] == [(4, "runs once, untimed")]


def test_a_magic_that_would_take_several_lines_is_left_out():
    plain, skipped = strip_magics("%a\nx = 1", 1, lambda statement: "one\ntwo\n")
    assert plain == "pass\nx = 1"
    assert skipped[0].line == 1
