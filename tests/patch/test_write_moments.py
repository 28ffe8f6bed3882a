"""At every line of the writer it is killed, and at every line an editor saves: what is there is old, new, or the editor's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from gradcheck.patch import swap, write
from gradcheck.patch.files import PatchedFile, patched_files
from gradcheck.patch.write import restore_files, write_files
from gradcheck.program.errors import ProgramError
from tests.patch.made import fix, planned

OLD, NEW, MINE = "x = 1\n", "x = 2\n", "x = 1  # saved by an editor\n"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files() -> list[PatchedFile]:
    return fresh()


def fresh() -> list[PatchedFile]:
    for name in ("a.py", "b.py"):
        Path(name).write_text(OLD)
    return patched_files([planned(fix(name, "1", "2")) for name in ("a.py", "b.py")])


def at_line(number: int, action: Callable[[], None], writer: Callable[[], None]) -> bool:
    """Does `action` before the line of the writer that is the `number`th to be run; whether there was one."""
    left = number

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in (write.__file__, swap.__file__):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                action()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        writer()
    finally:
        sys.settrace(before)
    return left <= 0


def in_fork(what: Callable[[], object]) -> int:
    """The status of a process that does it; 3 where something was left undone."""
    child = os.fork()
    if not child:
        with suppress(BaseException):
            os._exit(0 if what() else 3)
        os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("back", [False, True], ids=["write", "restore"])
def test_killed_at_any_line_it_leaves_old_or_new(back: bool) -> None:
    # A process of its own forks off those that are killed: to fork this one, with torch in it, takes much longer.
    there = f"from {__name__} import killed_at_every_line; killed_at_every_line({back})"
    done = subprocess.run(
        [sys.executable, "-c", there],
        env={**os.environ, "PYTHONPATH": str(Path(write.__file__).parents[2])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def killed_at_every_line(back: bool) -> None:
    number, seen = 0, set()
    while True:
        number += 1
        files = fresh()
        if back:
            write_files(files)
        writer = partial(restore_files if back else write_files, files)
        status = in_fork(partial(at_line, number, kill, writer))
        texts = tuple(Path(name).read_text() for name in ("a.py", "b.py"))
        assert set(texts) <= {OLD, NEW}
        for left in Path().glob(".*.gradcheck"):  # beside it, the other of the two, or what is not finished
            left.unlink()
        if status == 3:
            break
        assert status == -signal.SIGKILL
        seen.add(texts)
    assert number > 50
    assert {(OLD, OLD), (NEW, NEW)} <= seen


def save_in_place() -> None:
    Path("b.py").write_text(MINE)


def save_by_renaming() -> None:
    Path("b.py~").write_text(MINE)
    Path("b.py~").replace("b.py")


@pytest.mark.parametrize("save", [save_in_place, save_by_renaming])
def test_what_an_editor_saves_at_any_line_stays(save: Callable[[], None]) -> None:
    number = 0
    refused = 0
    while True:
        number += 1
        files = fresh()
        try:
            done = at_line(number, save, partial(write_files, files))
        except ProgramError:
            assert Path("a.py").read_text() == OLD
            refused += 1
            done = True
        if not done:
            break
        assert Path("b.py").read_text() == MINE, number
        assert sorted(os.listdir()) == ["a.py", "b.py"]
    assert refused > 20


def test_what_is_saved_into_the_file_that_was_open_stays(
    files: list[PatchedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("a.py", "r+") as editor:
        real = swap.swap

        def swapped(first: str, second: str) -> bool:
            done = real(first, second)
            editor.seek(0)
            editor.write(MINE)
            editor.flush()
            return done

        monkeypatch.setattr(write, "swap", swapped)
        with pytest.raises(ProgramError, match="has changed in the meantime"):
            write_files(files)
    assert Path("a.py").read_text() == MINE
    assert Path("b.py").read_text() == OLD


def test_where_two_files_cannot_be_exchanged_one_replaces_the_other(
    files: list[PatchedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "swap", lambda first, second: False)
    write_files(files)
    assert (Path("a.py").read_text(), Path("b.py").read_text()) == (NEW, NEW)
    assert sorted(os.listdir()) == ["a.py", "b.py"]


def test_a_file_that_cannot_be_replaced_is_one_line_and_all_stay(
    files: list[PatchedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = swap.swap

    def busy(first: str, second: str) -> bool:  # as for a file that is mounted
        if second.endswith("b.py"):
            raise OSError(16, "Device or resource busy")
        return real(first, second)

    monkeypatch.setattr(write, "swap", busy)
    with pytest.raises(ProgramError, match=r"`b\.py` cannot be written: Device or resource busy"):
        write_files(files)
    assert (Path("a.py").read_text(), Path("b.py").read_text()) == (OLD, OLD)
    assert sorted(os.listdir()) == ["a.py", "b.py"]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="needs extended attributes")
def test_attributes_and_access_lists_are_kept(files: list[PatchedFile]) -> None:
    # Version 2; the owner, user 12345, the group, the mask, others: each a tag, a permission and an id.
    entries = [(1, 6, -1), (2, 4, 12345), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
    access = b"\x02\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + who.to_bytes(4, "little", signed=True)
        for tag, rights, who in entries
    )
    try:
        os.setxattr("a.py", "user.note", b"mine")
        os.setxattr("a.py", "system.posix_acl_access", access)
    except OSError:
        pytest.skip("this file system has none")
    before = os.stat("a.py").st_mode
    write_files(files)
    assert os.getxattr("a.py", "user.note") == b"mine"
    assert os.getxattr("a.py", "system.posix_acl_access") == access
    assert (os.stat("a.py").st_mode, Path("a.py").read_text()) == (before, NEW)
