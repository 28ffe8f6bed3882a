"""The diff must be one that git and patch accept, and must give exactly the edited bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradcheck.patch.files import PatchedFile, patched_files
from gradcheck.patch.unified import unified_diff
from gradcheck.program.edits.splices import Splice
from tests.patch.made import fix, notebook_text, planned


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_hunks_have_three_lines_of_context() -> None:
    Path("a.py").write_text("".join(f"line_{i} = {i}\n" for i in range(1, 31)))
    fixes = [
        fix("a.py", old, new) for old, new in (("= 2\n", "= 3\n"), ("= 9\n", "= (\n9)\n"), ("= 25", "= 5"))
    ]
    (file,) = patched_files([planned(f) for f in fixes])
    assert unified_diff(file).decode() == (
        "--- a/a.py\n+++ b/a.py\n"
        "@@ -1,12 +1,13 @@\n line_1 = 1\n-line_2 = 2\n+line_2 = 3\n line_3 = 3\n line_4 = 4\n line_5 = 5\n"
        " line_6 = 6\n line_7 = 7\n line_8 = 8\n-line_9 = 9\n+line_9 = (\n+9)\n"
        " line_10 = 10\n line_11 = 11\n line_12 = 12\n"
        "@@ -22,7 +23,7 @@\n line_22 = 22\n line_23 = 23\n line_24 = 24\n-line_25 = 25\n+line_25 = 5\n"
        " line_26 = 26\n line_27 = 27\n line_28 = 28\n"
    )


@pytest.mark.parametrize(("second", "hunks"), [(8, 1), (9, 2)])
def test_changes_whose_context_meets_are_one_hunk(second: int, hunks: int) -> None:
    Path("a.py").write_text("".join(f"line_{i} = 0\n" for i in range(1, 31)))
    fixes = [fix("a.py", f"line_{number} = 0", "x = 1") for number in (1, second)]
    (file,) = patched_files([planned(f) for f in fixes])
    assert unified_diff(file).count(b"\n@@ ") == hunks


TOOLS = [["git", "apply", "--whitespace=nowarn"], ["patch", "-p1", "--quiet", "--binary"]]


@pytest.mark.parametrize("tool", TOOLS, ids=["git", "patch"])
@pytest.mark.parametrize("folder", [".", "src", "a", "a b"])
@pytest.mark.parametrize("repository", [True, False])
def test_the_tools_find_files_of_every_name(
    tool: list[str], folder: str, repository: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if repository:
        subprocess.run(["git", "init", "--quiet"], check=True)
    Path(folder).mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    for name in (
        "a b.py", "a/b.py", "src/x.py", "src/src/x.py", "a b/c d.py", "b/a  b.py", "ä.py", 'we"ird.py', "back\\slash.py",
        "tab\tname.py", "new\nline.py", "return\r.py", "x.py 2020-01-01 10.py", "-dash.py", "'q'.py", "\udcff.py",
    ):  # fmt: skip
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("y = 2\n")
        (file,) = patched_files([planned(fix(name, "2", "3"))])
        subprocess.run(tool, input=unified_diff(file), check=True)
        assert Path(name).read_text() == "y = 3\n", name


@pytest.mark.parametrize("tool", TOOLS, ids=["git", "patch"])
@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.py", b"x = 1\ny = 2\n"),
        ("a.py", b"x = 1\r\ny = 2\r\nz = 3\r\n"),
        ("a.py", b"y = 2"),
        ("a.py", b"# coding: latin-1\n# \xe9\ny = 2\n"),
        ("a.py", b"\xef\xbb\xbfy = 2\n# a\x0cb\xe2\x80\xa8c\rd\n"),
        ("deep/er/two words.py", b"\n" * 40 + b"y = 2\n" + b"\n" * 40),
    ],
)
def test_the_tools_make_the_edited_bytes(tool: list[str], name: str, raw: bytes) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(raw)
    (file,) = patched_files([planned(fix(name, "y = 2", "y = (\n  3)"))])
    subprocess.run(tool, input=unified_diff(file), check=True)
    assert Path(name).read_bytes() == file.after != raw


def test_git_applies_it_in_a_folder_of_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    Path("a.py").write_text("y = 2\n")
    (file,) = patched_files([planned(fix("a.py", "2", "3"))])
    subprocess.run(["git", "apply"], input=unified_diff(file), check=True)
    assert Path("a.py").read_text() == "y = 3\n"


def test_a_notebook_is_patched_as_the_json_file_it_is() -> None:
    Path("a.ipynb").write_text(notebook_text("x = 1\ny = 2", "y = 2\nz = 3\n"))
    (file,) = patched_files([planned(fix("a.ipynb", "2", "-2", cell=2))])
    diff = unified_diff(file).decode()
    assert '-    "y = 2\\n",\n+    "y = -2\\n",\n' in diff
    assert diff.count("\n-") == diff.count("\n+") - 1 == 1  # and +++
    subprocess.run(["git", "apply"], input=diff.encode(), check=True)
    assert Path("a.ipynb").read_text() == notebook_text("x = 1\ny = 2", "y = -2\nz = 3\n")


LINES = st.sampled_from([b"a", b"a\n", b"b\n", b"\n", b"a\r\n", b"\xff\r", b"c\n" * 8])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(LINES, min_size=1, max_size=12), st.data())
def test_any_edits_of_any_bytes(lines: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), min_size=2, max_size=6)))
    news = st.lists(LINES, max_size=2).map(b"".join)
    splices = [Splice(start, end, data.draw(news)) for start, end in zip(cuts[::2], cuts[1::2], strict=False)]
    Path("a.py").write_bytes(raw)
    file = PatchedFile("a.py", Path("a.py"), raw, tuple(splices), ())
    diff = unified_diff(file)
    if not diff:
        assert file.after == raw
    elif file.after:  # else patch would remove the file
        subprocess.run(TOOLS[1], input=diff, check=True)
        assert Path("a.py").read_bytes() == file.after
