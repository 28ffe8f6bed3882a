"""Runs a program bare and recorded, and says in what the two differ."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from gradcheck.base.options import SessionOptions
from gradcheck.process.child import run_in_child
from gradcheck.report.program_section import ProgramSection
from tests.fronts.torch import seen

_LINES_OF_OTHERS = re.compile(r"^USDT:.*\n", re.MULTILINE)  # what torch's profiler prints, with the time


def looks() -> list[str]:
    return re.findall(r"^def (\w+)", _functions(), re.MULTILINE)


def looking() -> str:
    """The program of all looks."""
    return f'"""A program."""\n{_functions()}\nlooks = [{", ".join(looks())}]\n{seen.STEP}'


def _functions() -> str:
    return (
        Path(seen.__file__).read_text().partition("mypy: ignore-errors\n")[2].partition("# What cannot be")[0]
    )


def seen_differently(folder: Path) -> dict[str, tuple[str, str]]:
    """Each look that says something else, with both."""
    program = folder / "program.py"
    program.write_text(looking())
    bare = _bare(program).stdout
    folder.joinpath("made.txt").unlink()
    recorded = run_in_child(SessionOptions(str(program), fix_budget_s=0.0)).stdout
    first, second = (dict(line.split(": ", 1) for line in out.splitlines()) for out in (bare, recorded))
    assert list(first) == list(second) == looks()
    return {name: (first[name], second[name]) for name in first if first[name] != second[name]}


def ends_differently(folder: Path, end: str) -> list[str]:
    """Of output, errors, status and files, those that differ."""
    text = f"looks = []\n{seen.STEP}{end}\n"
    folders = [folder / "bare", folder / "recorded"]
    for each in folders:
        each.mkdir(parents=True)
        each.joinpath("program.py").write_text(text)
    ran = _bare(folders[0] / "program.py")
    made = sorted(
        str(path.relative_to(folders[0])) for path in folders[0].rglob("*.*") if path.name != "program.py"
    )
    result = run_in_child(SessionOptions(str(folders[1] / "program.py"), fix_budget_s=0.0))
    program = result.report.program
    pairs = {
        "output": (ran.stdout, result.stdout),
        "errors": tuple(
            error.replace(str(each), "")
            for error, each in zip((ran.stderr, result.stderr), folders, strict=True)
        ),
        "status": (ran.returncode, _status(program)),
        "files": (made, sorted(os.path.relpath(w.path, folders[1]) for w in program.written)),
        "files of the folder": (["program.py"], sorted(os.listdir(folders[1]))),
    }
    return [f"{what}: {one!r} and {other!r}" for what, (one, other) in pairs.items() if one != other]


def _status(program: ProgramSection) -> int:
    told = re.fullmatch(r"the program called exit\((\d+)\)", program.explanation)
    return {"completed": 0, "exception": 1}.get(program.ended, int(told[1]) if told else 1)


def _bare(program: Path) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run(
        [sys.executable, program.name],
        cwd=program.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ran.stderr = _LINES_OF_OTHERS.sub("", ran.stderr)
    return ran
