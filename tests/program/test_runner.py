"""Programs run as themselves: as `__main__`, where they are, to whatever end they come to."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable

import pytest

from gradcheck.program.errors import ProgramError
from gradcheck.program.outcome import Ending


def test_a_script_sees_what_it_would_see(run_program, tmp_path, capfd):
    before = sys.argv, sys.path, os.getcwd(), sys.modules["__main__"]
    ran = run_program(
        "import sys, os, inspect\n"
        "seen = (__name__, __file__, sys.argv, sys.path[0], os.getcwd(), sorted(globals())[:9])\n"
        "def f(): pass\nclass C: pass\n"
        "source = inspect.getsource(f), inspect.getsource(C)\n"
        "is_main = sys.modules['__main__'].f is f\nprint('to standard output')\n"
    )
    path = str(tmp_path / "program.py")
    name, file, argv, entry, cwd, names = ran.names["seen"]
    assert (name, file, argv, entry, cwd) == ("__main__", path, [path], str(tmp_path), str(tmp_path))
    assert names == [
        "__annotations__", "__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__",
        "__package__", "__spec__",
    ]  # fmt: skip
    assert ran.names["source"] == ("def f(): pass\n", "class C: pass\n")
    assert ran.names["is_main"]
    assert ran.outcome.ended is Ending.COMPLETED
    assert capfd.readouterr() == ("to standard output\n", "")
    assert (sys.argv, sys.path, os.getcwd(), sys.modules["__main__"]) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["program.py"]


def test_cwd(run_program, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    ran = run_program("import os, sys\nseen = os.getcwd(), sys.path[0]\n", cwd=str(tmp_path / "elsewhere"))
    assert ran.names["seen"] == (str(tmp_path / "elsewhere"), str(tmp_path))


def test_a_notebook_goes_on_after_a_cell_that_raises(run_program, capfd):
    ran = run_program(
        ["x = 1", "def f(y):\n    return y / 0\nf(x)", "!ls", "def broken(:\n    pass", "x += 1\nx"]
    )
    outcome = ran.outcome
    assert ran.names["x"] == 2
    assert ran.watcher.units == [1, 2, 3, 4, 5]
    division, syntax = outcome.faults
    assert (division.cell, str(division), division.text) == (
        2,
        "ZeroDivisionError: division by zero",
        "return y / 0",
    )
    assert (division.location.line, division.location.column, division.location.end_column) == (2, 12, 17)
    assert division.caller.line == 3
    assert (syntax.cell, syntax.type, syntax.location.line) == (4, "SyntaxError", 1)
    assert [(s.cell, s.line, s.text) for s in outcome.skipped] == [(3, 1, "!ls")]
    assert outcome.ended is Ending.COMPLETED
    errors = capfd.readouterr().err
    assert 'program.ipynb[cell 2]", line 2, in f\n    return y / 0' in errors
    assert "runner.py" not in errors


def test_a_script_ends_where_it_raises(run_program):
    ran = run_program("x = 1\nraise ValueError('two\\nlines')\nx = 2\n")
    assert ran.names["x"] == 1
    assert ran.outcome.ended is Ending.EXCEPTION
    assert ran.outcome.ended_at.line == 2
    assert ran.outcome.explanation == "the program raised ValueError: two lines"
    assert ran.watcher.stops == 1


@pytest.mark.parametrize(
    "way", ["sys.exit(3)", "raise SystemExit(3)", "exit(3)", "quit(3)", "os._exit(3)", "builtins.exit(3)"]
)
@pytest.mark.parametrize("cells", [True, False])
def test_exits_end_the_program_and_not_us(run_program, way, cells, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # exit() closes it
    text = ["import os, sys, builtins\nx = 1", way, "x = 2"]
    ran = run_program(text if cells else "\n".join(text))
    assert ran.names["x"] == 1
    assert ran.outcome.ended is Ending.EXIT
    assert ran.outcome.explanation == "the program called exit(3)"
    assert ran.outcome.faults == []


def test_time_limit_tells_the_line(run_program, watcher_class):
    ran = run_program(
        "x = 1\ndef spin():\n    while True:\n        pass\nspin()\n",
        timeout_s=0.1,
        watcher=watcher_class(attention=False),
    )
    assert ran.outcome.ended is Ending.TIMEOUT
    assert ran.outcome.explanation.startswith("still running after 0.1 s at ")
    assert ran.outcome.ended_at.line in (3, 4)
    assert ran.names["x"] == 1


def test_time_limit_is_not_an_exception_a_program_catches(run_program, watcher_class):
    text = "n = 0\nwhile True:\n    try:\n        n += 1\n    except Exception:\n        pass\n"
    assert (
        run_program(text, timeout_s=0.1, watcher=watcher_class(attention=False)).outcome.ended
        is Ending.TIMEOUT
    )


def test_a_time_limit_that_was_swallowed_comes_again(run_program, watcher_class):
    text = "import time\nend = time.time() + 5\nwhile True:\n    try:\n        while True: pass\n"
    text += "    except:\n        break\nwhile time.time() < end: pass\n"
    started = time.monotonic()
    ran = run_program(text, timeout_s=0.1, watcher=watcher_class(attention=False))
    assert ran.outcome.ended is Ending.TIMEOUT
    assert ran.outcome.ended_at.line == 5
    assert time.monotonic() - started < 4


def test_a_forked_child_never_comes_back(run_program, tmp_path):
    text = "import os\npid = os.fork()\nif pid:\n    status = os.waitpid(pid, 0)[1]\n"
    text += "else:\n    for i in range(3): pass\n    {way}\n"
    for way, status in (("pass", 0), ("raise ValueError", 1), ("raise SystemExit(4)", 4), ("os._exit(5)", 5)):
        ran = run_program(text.format(way=way))
        assert os.waitstatus_to_exitcode(ran.names["status"]) == status
        assert ran.watcher.stops == 1


def test_whatever_happens_to_the_working_directory(run_program, tmp_path):
    here = os.getcwd()
    run_program("import os\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')\n")
    assert os.getcwd() == here


def test_function_of_a_script(run_program):
    text = "ran = []\ndef step():\n    ran.append(__name__)\n"
    text += "if __name__ == '__main__':\n    ran.append('guarded')\n"
    ran = run_program(text, suffix="::step")
    assert ran.names["ran"] == ["program"]
    text = "class Trainer:\n    ran = []\n    @classmethod\n    def step(cls): cls.ran.append(1)\n"
    assert run_program(text, suffix="::Trainer.step").names["Trainer"].ran == [1]


def test_function_of_a_script_with_arguments(run_program):
    text = "import numpy as np\nran = []\nsize = 3\ndef step(x, *, by):\n    ran.append((x.shape, by))\n"
    assert run_program(text, suffix="::step(np.ones((4, size)), by=0.5)").names["ran"] == [((4, 3), 0.5)]
    text = "import numpy\nran = []\ndef step(x): ran.append(x)\n"
    assert run_program(text, suffix="::step(np.arange(6)[::2].tolist())").names["ran"] == [[0, 2, 4]]


def test_arguments_that_raise_are_a_fault_of_the_program(run_program):
    ran = run_program("def step(x): pass\n", suffix="::step(unknown)")
    assert ran.outcome.ended is Ending.EXCEPTION
    assert "name 'unknown' is not defined" in ran.outcome.explanation


@pytest.mark.parametrize(
    ("function", "message", "hint"),
    [
        ("setp", "there is no function `setp` in `program.py`", "did you mean `step`?"),
        ("wholly_other", "there is no function `wholly_other`", "it has `step`, `needs`"),
        ("needs", "`needs` of `program.py` needs arguments: x, y", "::needs(...)'"),
        ("number", "`number` of `program.py` is not a function but an int", ""),
    ],
)
def test_functions_that_cannot_be_called(run_program, function, message, hint):
    text = "def step(a=1, *b): pass\ndef needs(x, y, z=0): pass\nnumber = 3\n"
    with pytest.raises(ProgramError) as raised:
        run_program(text, suffix=f"::{function}")
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_a_script_that_fails_before_its_function_is_told(run_program):
    ran = run_program("import os\n1 / 0\ndef step(): pass\n", suffix="::step")
    assert ran.outcome.ended is Ending.EXCEPTION
    assert "ZeroDivisionError" in ran.outcome.explanation


def test_missing_file_says_what_supplies_it(run_program):
    ran = run_program(["!wget https://host/names.txt", "words = open('data/names.txt').read()"])
    (missing,) = ran.outcome.missing
    assert missing.name == "data/names.txt"
    assert (missing.location.cell, missing.location.line) == (2, 1)
    assert "--cwd DIR" in missing.hint
    assert "--data names.txt=PATH" in missing.hint
    assert "cell 1, line 1 would have fetched it" in missing.hint


def test_missing_file_of_a_library_that_does_not_name_it_as_open_does(run_program):
    ran = run_program("import numpy as np\nnp.loadtxt('points.csv')\n")
    assert ran.outcome.missing[0].name == "points.csv"


def test_what_a_program_sets_is_put_back(run_program):
    import warnings

    before = sys.getrecursionlimit(), list(warnings.filters), os.environ.get("MPLBACKEND")
    run_program("import sys, warnings\nsys.setrecursionlimit(900)\nwarnings.simplefilter('error')\n")
    assert (sys.getrecursionlimit(), list(warnings.filters), os.environ.get("MPLBACKEND")) == before


def test_time_limit_waits_while_the_observer_writes_down_a_call():
    import gradcheck
    from gradcheck.program.source import SourceMap, SourceUnit
    from gradcheck.program.time_limit import _inside_observer

    sources = SourceMap()
    sources.add(SourceUnit("person.py", "person.py", ""))

    def judged(*stack: str) -> bool:
        """Whether it waits, seen from the innermost of functions that call each other."""
        look: Callable[[], bool] = lambda: _inside_observer(sys._getframe(1), sources)  # noqa: E731
        for filename in reversed(stack):
            namespace = {"inner": look}
            exec(compile("def f(): return inner()", filename, "exec"), namespace)
            look = namespace["f"]
        return look()

    ours = os.path.join(os.path.dirname(gradcheck.__file__), "recording", "recorder.py")
    assert judged("person.py", ours)
    assert judged("person.py", ours, "/x/site-packages/torch/overrides.py")
    assert not judged(ours, "person.py")
    assert not judged(ours, "person.py", "/x/site-packages/torch/nn.py")


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nsys.modules.clear()\n",
        "import sys\nsys.meta_path.clear()\nsys.path_hooks.clear()\n",
        "import builtins\nbuiltins.__import__ = builtins.len = None\n",
        "import sys\nsys.modules['json'] = None\n",
    ],
)
def test_what_imports_need_is_put_back(run_program, text):
    import builtins
    import sys

    before = len, __import__, sys.modules["json"], list(sys.meta_path)
    assert run_program(text).outcome.ended.value == "completed"
    assert (builtins.len, builtins.__import__, sys.modules["json"], sys.meta_path) == before
