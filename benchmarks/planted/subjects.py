"""The right programs, and how a changed one is put where the right one was."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.measuring import MODELS, training_part
from gradcheck.program.source import SourceUnit

PROGRAMS = MODELS.parent / "tests" / "programs"
NUMPY_PROGRAMS = MODELS.parent / "tests" / "fronts" / "numpy" / "programs"  # right ones, without expectations
LIBRARIES = ("torch", "numpy")
_MODELS = ("two_layer.py", "three_layer.py", "two_layer.ipynb", "three_layer.ipynb")
_WRONG = ("introduced", "compensated", "non-finite", "unfinished")
_WRONG_UPDATES = ("GC103", "GC104", "GC105")
_NAMES_KEPT = 400  # of the data file: the first batch is what counts, and reading it all takes seconds


@dataclass(frozen=True, slots=True)
class Subject:
    """One right program."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(MODELS.parent))

    def lay_out(self, folder: Path) -> Path:
        """The program in a folder of its own, with all that stands beside it; its path there."""
        for entry in self.path.parent.iterdir():
            if entry.is_dir() and entry.name != "__pycache__":
                shutil.copytree(entry, folder / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif entry.suffix in (".txt", ".csv", ".json"):
                shutil.copy(entry, folder)
        copy = folder / self.path.name
        text = self.path.read_text(encoding="utf-8")
        if self.path.parent == MODELS:
            names = folder / "data" / "names.txt"
            names.write_text("\n".join(names.read_text().splitlines()[:_NAMES_KEPT]) + "\n")
            if self.path.suffix == ".py":
                text = training_part(self.path)
        copy.write_text(text, encoding="utf-8")
        return copy


def find_subjects(pattern: str, library: str = "torch") -> list[Subject]:
    """The right programs whose path matches `pattern`, in the order of their paths."""
    if library == "numpy":
        return _of_numpy(pattern)
    found = [MODELS / name for name in _MODELS]
    for expectation in PROGRAMS.glob("*.toml"):
        if is_right(tomllib.loads(expectation.read_text())):
            found += [p for p in (expectation.with_suffix(s) for s in (".py", ".ipynb")) if p.exists()]
    return sorted(
        (Subject(path) for path in found if fnmatch(path.name, pattern)), key=lambda subject: subject.name
    )


def all_programs(pattern: str, library: str = "torch") -> list[Subject]:
    """Right and wrong ones that stop by themselves: those with an expectation, which tells the training loops."""
    if library == "numpy":
        return _of_numpy(pattern)
    found = [
        path
        for expectation in PROGRAMS.glob("*.toml")
        for path in (expectation.with_suffix(s) for s in (".py", ".ipynb"))
        if path.exists() and fnmatch(path.name, pattern)
    ]
    return sorted(map(Subject, found), key=lambda subject: subject.name)


def _of_numpy(pattern: str) -> list[Subject]:
    return [Subject(path) for path in sorted(NUMPY_PROGRAMS.glob("*.py")) if fnmatch(path.name, pattern)]


def is_right(expectation: dict) -> bool:  # type: ignore[type-arg]
    if any(finding.get("rule") in _WRONG_UPDATES for finding in expectation.get("finding", [])):
        return False
    return not any(
        row.get("verdict") in _WRONG or row.get("problem") in _WRONG
        for step in expectation.get("pass", [])
        for row in [*step.get("gradient", []), *step.get("unnamed", [])]
    )


def plant(unit: SourceUnit, changed: str, program: Path) -> None:
    """Writes the changed text of a script, a sibling module or a code cell over the right one."""
    if unit.cell is None:
        path = Path(unit.filename)
        path.write_text(changed, encoding="utf-8")
        os.utime(path)
        return
    notebook = json.loads(program.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    cells[unit.cell - 1]["source"] = changed.splitlines(keepends=True)
    program.write_text(json.dumps(notebook), encoding="utf-8")
