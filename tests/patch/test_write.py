"""A file is the old one or the new one at every moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradcheck.patch.files import PatchedFile, patched_files
from gradcheck.patch.write import restore_files, write_files
from gradcheck.program.errors import ProgramError
from tests.patch.made import fix, planned


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def patched(*names: str) -> list[PatchedFile]:
    for name in names:
        Path(name).write_text("x = 1\n")
    return patched_files([planned(fix(name, "1", "2")) for name in names])


def test_permissions_and_links_are_kept() -> None:
    Path("real").mkdir()
    Path("real/a.py").write_text("")
    Path("a.py").symlink_to("real/a.py")
    files = patched("a.py")
    Path("real/a.py").chmod(0o750)
    write_files(files)
    assert Path("a.py").is_symlink()
    assert Path("real/a.py").read_text() == "x = 2\n"
    assert Path("real/a.py").stat().st_mode & 0o7777 == 0o750
    assert os.listdir("real") == ["a.py"]
    restore_files(files)
    assert Path("a.py").read_text() == "x = 1\n"


def test_a_read_only_file_stops_all_of_it() -> None:
    files = patched("a.py", "b.py")
    Path("b.py").chmod(0o444)
    with pytest.raises(ProgramError, match=r"`b\.py` cannot be written: it is read-only"):
        write_files(files)
    assert Path("a.py").read_text() == Path("b.py").read_text() == "x = 1\n"
    assert sorted(os.listdir()) == ["a.py", "b.py"]


def test_a_file_that_changed_in_the_meantime_is_left_alone() -> None:
    files = patched("a.py", "b.py")
    Path("b.py").write_text("x = 1  # mine\n")
    with pytest.raises(ProgramError, match=r"`b\.py` has changed in the meantime"):
        write_files(files)
    assert Path("a.py").read_text() == "x = 1\n"
    assert Path("b.py").read_text() == "x = 1  # mine\n"
    assert sorted(os.listdir()) == ["a.py", "b.py"]


@pytest.mark.parametrize("moment", ["os.fsync", "swap"])
def test_an_interrupt_leaves_nothing_half_written(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = patched("a.py", "b.py")

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"gradcheck.patch.write.{moment}", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_files(files)
    assert Path("a.py").read_text() == Path("b.py").read_text() == "x = 1\n"
    assert sorted(os.listdir()) == ["a.py", "b.py"]


def test_a_file_that_is_gone() -> None:
    files = patched("a.py")
    Path("a.py").unlink()
    with pytest.raises(ProgramError, match=r"`a\.py` cannot be written: No such file"):
        write_files(files)
