"""The person's own modules are watched like the program; nothing about importing changes."""

from __future__ import annotations

import builtins
import sys

import pytest

from gradcheck.program.errors import ProgramError
from gradcheck.program.outcome import Ending
from gradcheck.program.runner import load, run
from gradcheck.program.target import parse_target


@pytest.fixture(autouse=True)
def _forget_modules():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("helper_", "package_")):
            del sys.modules[name]


def test_sibling_modules_are_watched_and_known(run_program, tmp_path):
    helper = "def walk():\n    for i in range(2): pass\n"
    ran = run_program(
        "import helper_a, inspect\nhelper_a.walk()\nsource = inspect.getsource(helper_a.walk)\n"
        "file, cached = helper_a.__file__, helper_a.__spec__.cached\n",
        files={"helper_a.py": helper},
    )
    assert [e[0] for e in ran.watcher.events] == ["start", "begin", "end", "begin", "end"]
    assert ran.names["source"] == helper
    assert ran.names["file"] == str(tmp_path / "helper_a.py")
    assert not (tmp_path / "__pycache__").exists()


def test_a_stale_bytecode_cache_is_not_used(run_program, tmp_path):
    import py_compile

    (tmp_path / "helper_b.py").write_text("for i in range(1): pass\n")
    py_compile.compile(str(tmp_path / "helper_b.py"))
    ran = run_program("import helper_b\n")
    assert [e[0] for e in ran.watcher.events] == ["start", "begin", "end"]


def test_errors_in_a_module_are_at_its_line(run_program):
    ran = run_program("import helper_c\n", files={"helper_c.py": "x = 1\nx.y\n"})
    assert ran.outcome.ended is Ending.EXCEPTION
    assert ran.outcome.ended_at.file.endswith("helper_c.py")
    assert ran.outcome.ended_at.line == 2
    ran = run_program("import helper_d\n", files={"helper_d.py": "x = 1\ndef f(:\n"})
    assert (ran.outcome.faults[0].type, ran.outcome.ended_at.line) == ("SyntaxError", 2)
    assert ran.outcome.ended_at.file.endswith("helper_d.py")  # and not the import that finds it


def test_library_modules_are_left_to_python(run_program):
    ran = run_program("import colorsys\nloader = type(colorsys.__loader__).__name__\n")
    assert ran.names["loader"] == "SourceFileLoader"


def test_callable_of_a_package(tmp_path, monkeypatch, watcher_class):
    (tmp_path / "package_a").mkdir()
    (tmp_path / "package_a" / "__init__.py").write_text("")
    (tmp_path / "package_a" / "train.py").write_text(
        "done = []\ndef step():\n    for i in range(2): done.append(i)\ndef other(x): pass\n"
    )
    (tmp_path / "package_a" / "broken.py").write_text("import nothing_of_the_kind\n")
    monkeypatch.chdir(tmp_path)
    watcher = watcher_class()
    outcome = run(load(parse_target("package_a.train:step")), watcher)
    assert outcome.ended is Ending.COMPLETED
    assert watcher.namespace["done"] == [0, 1]
    assert [e[0] for e in watcher.events][1:] == ["begin", "end"] * 2
    for target, message in (
        ("package_a.train:stp", "there is no function `stp`"),
        ("package_a.train:other", "needs arguments: x"),
        ("package_a.nowhere:step", "there is no module `package_a.nowhere`"),
        ("package_b.train:step", "there is no module `package_b`"),
    ):
        with pytest.raises(ProgramError, match=message):
            run(load(parse_target(target)), watcher_class())
    outcome = run(load(parse_target("package_a.broken:step")), watcher_class())
    assert outcome.ended is Ending.EXCEPTION
    assert "nothing_of_the_kind" in outcome.explanation


def test_a_gradcheck_of_the_programs_own_is_the_one_it_imports(run_program):
    import gradcheck
    from gradcheck.program import runner

    ran = run_program(
        "import gradcheck\nfrom gradcheck import check\nfor i in range(2): pass\nmine = check()\n",
        files={"gradcheck.py": "def check(): return 'mine'\n"},
    )
    assert ran.outcome.faults == []
    assert ran.names["mine"] == "mine"
    assert ran.watcher.told(3)[-1] == ("end", 1)
    assert sys.modules["gradcheck"] is gradcheck
    assert sys.modules["gradcheck.program.runner"] is runner


def test_modules_named_like_pythons_own_are_the_programs_alone(run_program):
    import statistics

    ran = run_program(
        "from statistics import normalise\nfrom types import kind\nimport statistics, random\n"
        "mine, real = normalise(2), random.SystemRandom\nimport colorsys_user\n",
        files={
            "statistics.py": "from types import kind\nimport functools\ndef normalise(x): return x, kind\n",
            "types.py": "kind = 'mine'\n",
            "colorsys_user.py": "from statistics import normalise\n",
        },
    )
    assert ran.outcome.faults == []
    assert ran.names["mine"] == (2, "mine")
    assert ran.names["statistics"] is not statistics
    assert sys.modules["statistics"] is statistics
    from types import FrameType  # not the program's

    assert FrameType
    assert builtins.__import__.__module__ == "builtins"
