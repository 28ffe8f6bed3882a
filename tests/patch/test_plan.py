"""Which fixes are applied, and that a file which is no longer the one that was run is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck.base.errors import InternalError
from gradcheck.patch.files import patched_files
from gradcheck.patch.plan import plan_fixes
from gradcheck.program.errors import ProgramError
from tests.patch.made import finding, fix, notebook_text, planned, report

TEXT = "a = 1\nb = 22 + 3\nc = 4\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text(TEXT)


def test_one_cause_of_two_findings_is_mended_once() -> None:
    shared = fix("a.py", "22", "5")
    later, earlier = finding(fix("a.py", "4", "6")), finding(fix("a.py", "1", "0"))
    plan = plan_fixes([report(later, finding(shared), finding(shared)), report(finding(shared), earlier)])
    assert [f.fix.replacement for f in plan.fixes] == ["0", "5", "6"]
    assert [len(f.findings) for f in plan.fixes] == [1, 3, 1]
    (file,) = patched_files(plan.fixes)
    assert file.after == b"a = 0\nb = 5 + 3\nc = 6\n"


def test_what_is_not_proved_is_not_applied() -> None:
    unproved = finding(fix("a.py", "22", "5", verified=False))
    plan = plan_fixes([report(finding(None), unproved), report(unproved)])
    assert plan.fixes == []
    assert plan.unfixed == [finding(None), unproved]


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("22", "22 + 3", False),
        ("b = 22", "22 + 3", False),
        ("22 + 3", "22 + 3\nc", False),
        ("b = 22", " + 3", True),
        ("22", "3", True),
    ],
)
def test_fixes_that_overlap_wait_for_another_run(first: str, second: str, both: bool) -> None:
    fixes = [fix("a.py", second, "x"), fix("a.py", first, "y")]
    plan = plan_fixes([report(*map(finding, fixes))])
    earliest = min(fixes, key=lambda f: f.location)
    assert plan.fixes[0].fix == earliest
    assert len(plan.fixes) == 1 + both
    assert len(plan.postponed) == 1 - both
    for waiting, blocker in plan.postponed:
        assert (blocker.fix, waiting.fix) == (earliest, fixes[earliest == fixes[0]])


def test_the_same_place_of_two_cells_is_no_overlap() -> None:
    Path("a.ipynb").write_text(notebook_text("x = 1", "x = 1"))
    plan = plan_fixes([report(*(finding(fix("a.ipynb", "1", "2", cell=cell)) for cell in (1, 2)))])
    assert len(plan.fixes) == 2
    assert patched_files(plan.fixes)[0].after.decode() == notebook_text("x = 2", "x = 2")


@pytest.mark.parametrize("text", [TEXT.replace("b = ", "bb = "), "new\n" + TEXT, "a = 1\n", "# 22\n"])
def test_a_file_that_has_changed_since_is_refused(text: str) -> None:
    plan = plan_fixes([report(finding(fix("a.py", "22", "5")))])
    Path("a.py").write_text(text)
    with pytest.raises(ProgramError, match=r"`a\.py` has changed since it was run: line 2 is different"):
        patched_files(plan.fixes)


def test_a_cell_that_has_moved_is_refused() -> None:
    Path("a.ipynb").write_text(notebook_text("x = 1", "x = 2"))
    plan = plan_fixes([report(finding(fix("a.ipynb", "2", "3", cell=2)))])
    Path("a.ipynb").write_text(notebook_text("x = 1"))
    with pytest.raises(ProgramError, match="line 1 of cell 2 is different"):
        patched_files(plan.fixes)


def test_a_fix_whose_lines_were_not_kept_is_refused() -> None:
    known = report(finding(fix("a.py", "22", "5")))
    known.excerpts = []
    with pytest.raises(ProgramError, match="has changed"):
        patched_files(plan_fixes([known]).fixes)


def test_an_edit_that_breaks_the_syntax_is_our_fault() -> None:
    with pytest.raises(InternalError, match=r"a fix of `a\.py` is not valid Python"):
        patched_files([planned(fix("a.py", "22", "(5"))])


def test_a_cell_with_magics_can_be_edited() -> None:
    Path("a.ipynb").write_text(notebook_text("%matplotlib inline\nx = 1\n!ls"))
    (file,) = patched_files([planned(fix("a.ipynb", "1", "2", cell=1))])
    assert file.after.decode() == notebook_text("%matplotlib inline\nx = 2\n!ls")
