"""Programs that write, in every way we could think of: no file of the person's changes, and the programs do not notice."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.target import parse_target
from gradcheck.program.writes.hold import writes_held_back
from tests.support import in_child
from tests.writes.person import changes, fill, program, state_of
from tests.writes.ways import WAYS


class _Nobody:
    attention = False

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


def _run(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """What the program raised, and what it is said to have written."""
    outcome = run(load(parse_target(str(path)), None), _Nobody())  # type: ignore[arg-type]
    return [str(fault) for fault in outcome.faults], [(w.path, w.what) for w in outcome.written]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[str], list[str], list[Any]]]:
    """By way: what changed in the folder, what was raised, what was written. One process for all of them."""
    folders = {name: tmp_path_factory.mktemp(name) for name in WAYS}
    before = {}
    for name, folder in folders.items():
        fill(folder)
        (folder / "program.py").write_text(program(WAYS[name]).replace("range(2000)", "range(2)"))
        before[name] = state_of(folder)
    results = in_child(
        lambda: {name: _run(folder / "program.py") for name, folder in folders.items()}, timeout_s=400.0
    )
    return {
        name: (changes(before[name], state_of(folder)), *results[name]) for name, folder in folders.items()
    }


@pytest.mark.parametrize("way", WAYS)
def test_no_file_changes_and_the_program_reads_what_it_wrote(ran: Any, way: str) -> None:
    changed, raised, _ = ran[way]
    assert changed == []
    assert raised == []


def test_what_a_program_left_open_is_closed_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import sys, zipfile\nsys.left_open = open('a.txt', 'w'), zipfile.ZipFile('a.zip', 'w')\n"
    )

    def closed() -> list[bool]:
        import sys

        with open(tmp_path / "ours.txt", "w") as ours:
            _run(tmp_path / "program.py")
            file, archive = sys.left_open  # type: ignore[attr-defined]
            return [file.closed, archive.fp is None, ours.closed]

    assert in_child(closed, timeout_s=60.0) == [True, True, False]


def test_a_collection_meanwhile_may_import() -> None:
    made = [f"made_up_{i}" for i in range(100_000)]
    left = iter(made)

    def collected(phase: str, _: dict[str, int]) -> None:
        name = next(left)
        sys.modules[name] = ModuleType(name)

    thresholds = gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(50)
    try:
        with writes_held_back(lambda file: False):
            pass
    finally:
        gc.callbacks.remove(collected)
        gc.set_threshold(*thresholds)
        for name in made:
            sys.modules.pop(name, None)
