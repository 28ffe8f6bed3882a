"""Targets, scripts and notebooks: what can be read, and one clear line for what cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradcheck.program.errors import ProgramError
from gradcheck.program.program import load
from gradcheck.program.script import read_source
from gradcheck.program.target import TargetKind, parse_target


def error_of(target: str) -> ProgramError:
    with pytest.raises(ProgramError) as raised:
        load(parse_target(target))
    assert "\n" not in raised.value.message
    return raised.value


def test_targets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "b.ipynb"):
        (tmp_path / name).write_text("")
    assert parse_target("a.py").kind is TargetKind.SCRIPT
    assert parse_target("b.ipynb").kind is TargetKind.NOTEBOOK
    function = parse_target("a.py::Net.step")
    assert (function.kind, function.function, function.stem) == (
        TargetKind.FUNCTION,
        "Net.step",
        "a-Net.step",
    )
    found = parse_target("package.module:step")
    assert (found.kind, found.module, found.function) == (TargetKind.CALLABLE, "package.module", "step")


def test_a_module_is_run_as_python_runs_it(tmp_path, monkeypatch):
    package = tmp_path / "pkg"
    package.mkdir()
    for name in ("__init__", "__main__", "train"):
        (package / f"{name}.py").write_text("")
    monkeypatch.chdir(tmp_path)
    found = parse_target("pkg.train")
    assert (found.kind, found.path, found.module) == (TargetKind.SCRIPT, package / "train.py", "pkg")
    assert load(found).path_entry == load(found).directory == tmp_path
    monkeypatch.chdir(package)
    assert parse_target("pkg.train", str(tmp_path)).path == package / "train.py"


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("", "the target is empty", "a target is"),
        ("trian.py", "`trian.py` does not exist", "did you mean `train.py`?"),
        ("nowhere/x.py", "`nowhere/x.py` does not exist", "a target is"),
        (".", "`.` is a directory", "name the notebook"),
        ("notes.txt", "`notes.txt` is neither a notebook", "a target is"),
        ("n.ipynb::step", "names a function of a notebook", "`n.ipynb`"),
        ("train.py::3x", "`3x` is not the name of a function", "a target is"),
        ("package.module", "there is no module `package.module` in", "`package.module:function`"),
        ("a-b:c", "`a-b:c` is not a target", "a target is"),
    ],
)
def test_bad_targets(tmp_path, monkeypatch, target, message, hint):
    monkeypatch.chdir(tmp_path)
    for name in ("train.py", "notes.txt", "n.ipynb"):
        (tmp_path / name).write_text("")
    error = error_of(target)
    assert message in error.message
    assert hint in error.hint


def test_syntax_error_shows_the_line_with_a_caret(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("x = 1\ny = (x +* 2)\n")
    error = error_of(str(path))
    assert error.message == f"{path}:2: invalid syntax"
    assert error.excerpt == "2 | y = (x +* 2)\n  |         ^"


def test_python_2_is_named(tmp_path, make_notebook):
    script = tmp_path / "a.py"
    script.write_text("print 'loss'\n")
    assert "Python 2" in error_of(str(script)).hint
    notebook = tmp_path / "a.ipynb"
    notebook.write_text(make_notebook(["x = 1", "print 'loss'", "y = 2"]))
    error = error_of(str(notebook))
    assert "[cell 2]:1" in error.message
    assert "print 'loss'" in error.excerpt
    assert "Python 2" in error.hint


def test_encodings(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes("# -*- coding: latin-1 -*-\ns = 'é'\r\nt = 1\r\n".encode("latin-1"))
    unit = load(parse_target(str(path))).pieces[0].unit
    assert unit.line_text(2) == "s = 'é'"
    path.write_bytes(b"\xef\xbb\xbfx = 1\n")
    assert load(parse_target(str(path))).pieces[0].unit.text == "x = 1\n"
    path.write_bytes(b"x = 1\ny = 2\nz = 3\ns = '\xe9'\n")
    error = error_of(str(path))
    assert "is not utf-8 text: byte 0xe9 in line 4" in error.message
    assert "coding: latin-1" in error.hint
    path.write_bytes(b"# coding: klingon\n")
    assert "unknown encoding: klingon" in error_of(str(path)).message
    path.write_bytes(b"x = 1\0\n")
    assert "null bytes" in error_of(str(path)).message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"x = 1\n", "is not a notebook: line 1 is not JSON"),
        (b'{"cells": [', "is not a notebook: line 1 is not JSON"),
        (b"[1, 2]", "is JSON but not a notebook"),
        (b'{"a": 1}', "is JSON but not a notebook"),
        (b'{"cells": []}', "has no code cells"),
        (b'{"cells": [], "metadata": {"language_info": {"name": "R"}}}', "is a notebook in r, not in Python"),
        (b'{"cells": ["\xff"]}', "is not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_bad_notebooks(tmp_path, content, message):
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    assert message in error_of(str(path)).message


def test_notebook_formats_and_cell_numbers(tmp_path):
    path = tmp_path / "a.ipynb"
    code = {"cell_type": "code", "input": ["x = 1\n", "y = 2"], "language": "python"}
    sheet = {"cells": [{"cell_type": "markdown", "source": "#"}, {**code, "input": ""}, code]}
    path.write_text(json.dumps({"nbformat": 3, "metadata": {}, "worksheets": [sheet]}))
    program = load(parse_target(str(path)))
    assert [(p.unit.cell, p.unit.text) for p in program.pieces] == [(1, ""), (2, "x = 1\ny = 2")]


def test_notebook_without_one_good_cell_is_refused(tmp_path, make_notebook):
    path = tmp_path / "a.ipynb"
    path.write_text(make_notebook(["x = = 1", ""]))
    error = error_of(str(path))
    assert "[cell 1]:1: invalid syntax" in error.message
    assert error.excerpt.startswith("1 | x = = 1\n")


def test_cwd_must_be_a_directory(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("")
    with pytest.raises(ProgramError, match=r"--cwd: `.*nowhere` does not exist"):
        load(parse_target(str(path)), str(tmp_path / "nowhere"))


def test_columns_count_characters(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("é = 'ü'; y = é\n", encoding="utf-8")
    program = load(parse_target(str(path)))
    start = len("é = 'ü'; ".encode())
    location = program.sources.location(str(path), 1, 1, start, start + 1)
    assert (location.column, location.end_column) == (10, 11)


@pytest.mark.parametrize("encoding", ["rot13", "hex", "zip", "punycode", "undefined", "nonsense"])
def test_a_cookie_that_names_no_encoding_of_text_is_one_line(encoding, tmp_path):
    path = tmp_path / "p.py"
    path.write_bytes(f"# -*- coding: {encoding} -*-\nx = 1 == 2\n# ok\n".encode())
    with pytest.raises(ProgramError, match=r"cannot be decoded|is not \w+ text"):
        read_source(path)


@pytest.mark.parametrize(
    ("text", "function", "call"),
    [
        ("a.py::train", "train", ""),
        ("a.py::train(1, [2][::1])", "train", "train(1, [2][::1])"),
        ("a.py::Net.fit(x='::')", "Net.fit", "Net.fit(x='::')"),
        ("pkg.mod:train(f(1))", "train", "train(f(1))"),
        ("a.py::Net([2, 3]).train(x)", "Net", "Net([2, 3]).train(x)"),
    ],
)
def test_a_function_may_be_given_arguments(monkeypatch, tmp_path, text, function, call):
    monkeypatch.chdir(tmp_path)
    Path("a.py").touch()
    target = parse_target(text)
    assert (target.function, target.call) == (function, call)


@pytest.mark.parametrize("call", ["f(", "f(1) + 1", "f(x)[0]", "(f)(", "f(1", "f(1); g()", "f(\0)"])
def test_what_is_no_call_is_no_target(monkeypatch, tmp_path, call):
    monkeypatch.chdir(tmp_path)
    Path("a.py").touch()
    with pytest.raises(ProgramError):
        parse_target(f"a.py::{call}")
