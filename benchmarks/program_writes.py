"""Programs that write in every way of `tests/writes/ways.py`, under each of the ways to run them: which files changed?

    python benchmarks/program_writes.py [FRONT...]

FRONT is report, fix, isolate, layer, notebook or pytest; all of them take a quarter of an hour on one core.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

from tests.writes.person import State, changes, fill, function, layer, program, state_of
from tests.writes.ways import WAYS

_ROOT = str(Path(__file__).resolve().parent.parent)
_CELLS = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "gradcheck")
import os
here = os.getcwd()
for path in sys.argv[1:]:
    os.chdir(os.path.dirname(path))
    done = shell.run_cell("%%gradcheck --fix-budget 0 --no-health\\n" + open(path).read())
    if not done.success:
        print("line 1 raised", path, done.error_in_exec)
    os.chdir(here)
"""
_TESTS = """
import importlib.util, os, sys, pytest, gradcheck
@pytest.mark.parametrize("path", {paths!r})
def test_step(path, monkeypatch):
    monkeypatch.chdir(os.path.dirname(path))
    monkeypatch.syspath_prepend(os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("program", path)
    module = sys.modules["program"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    report = gradcheck.check(module.train)
    assert report.summary["introduced"]
"""


def _commands(name: str, *options: str) -> Callable[[list[str], Path], list[list[str]]]:
    def commands(paths: list[str], outside: Path) -> list[list[str]]:
        suffix = "::Linear" if name == "layer" else ""
        return [[sys.executable, "-m", "gradcheck", name, path + suffix, *options] for path in paths]

    return commands


def _notebook(paths: list[str], outside: Path) -> list[list[str]]:
    return [[sys.executable, "-c", _CELLS, *paths]]


def _pytest(paths: list[str], outside: Path) -> list[list[str]]:
    test = outside / "test_program.py"
    test.write_text(_TESTS.format(paths=paths))
    return [[sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]]


FRONTS = {
    "report": (program, _commands("report", "--sweep", "2")),
    "fix": (program, _commands("fix", "--fix-budget", "1")),
    "isolate": (program, _commands("isolate", "--seeds", "1", "--steps", "3", "--jobs", "1")),
    "layer": (layer, _commands("layer", "--fix-budget", "0")),
    "notebook": (program, _notebook),
    "pytest": (function, _pytest),
}


def measured(front: str, ways: list[str]) -> tuple[dict[str, list[str]], int]:
    """What changed, by way; and how many processes ended in a traceback of ours or by a signal."""
    make, commands = FRONTS[front]
    with tempfile.TemporaryDirectory() as scratch:
        outside = Path(scratch, "outside")
        outside.mkdir()
        before: dict[str, State] = {}
        for way in ways:
            folder = Path(scratch, way)
            folder.mkdir()
            fill(folder)
            (folder / "program.py").write_text(make(WAYS[way]))
            before[way] = state_of(folder)
        bad = 0
        paths = [str(Path(scratch, way, "program.py")) for way in ways]
        for command in commands(paths, outside):
            done = subprocess.run(
                command, cwd=outside, env={**os.environ, "PYTHONPATH": _ROOT, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            raised = re.search(r"internal error|line \d+ raised|^\d+ failed", done.stderr + done.stdout, re.M)
            if done.returncode not in (0, 1) or raised:
                bad += 1
                print(
                    textwrap.indent(" ".join(command[3:5]) + "\n" + done.stderr + done.stdout[-2000:], "    ")
                )
        return {way: changes(before[way], state_of(Path(scratch, way))) for way in ways}, bad


def main() -> None:
    print(f"{'front':10} programs  changed  failed")
    for front in sys.argv[1:] or FRONTS:
        changed, bad = measured(front, list(WAYS))
        for way, names in changed.items():
            if names:
                print(f"    {way}: {', '.join(names)}")
        print(f"{front:10} {len(changed):8} {sum(map(bool, changed.values())):8} {bad:7}", flush=True)


if __name__ == "__main__":
    main()
