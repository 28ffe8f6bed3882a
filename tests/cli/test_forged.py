"""What a program may put in the place of the child's result: one line of ours, no traceback, no wait, no edit elsewhere."""

from __future__ import annotations

import json
import os
import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from gradcheck.base.errors import InternalError
from gradcheck.base.options import SessionOptions
from gradcheck.isolation.crossing import as_text, from_text
from gradcheck.isolation.tasks import Done, Outcome, Survey
from gradcheck.patch.plan import plan_fixes
from gradcheck.process import child
from gradcheck.process.exchange import PROGRESS, RESULT, STDERR, STDOUT
from gradcheck.program.errors import ProgramError
from gradcheck.report.model import Report
from tests.patch.made import finding, fix, report

RIGHT = report(target="t.py").to_dict()
FORGED: list[Any] = [
    b"", b"{", b"\xff\xfe", b"[]", b"null", b"3", b'"text"', b"{}", b"[" * 100_000, b'{"report": 1e999}',
    {"report": None}, {"report": []}, {"report": {}}, {"report": {"schema": 2}}, {"error": "text"}, {"error": {}},
    {"error": {"message": 1, "hint": None, "excerpt": []}}, {"internal": []}, {"internal": {"summary": 1}},
    {"layer": RIGHT},
    *({"report": RIGHT | change} for change in (
        {"target": 3}, {"passes": 3}, {"passes": [3]}, {"gradients": [{"name": 1}]}, {"findings": {"a": 1}},
        {"findings": [{"rule": "GC101"}]}, {"program": []}, {"program": {"notes": "text"}}, {"version": None},
        {"excerpts": [None]}, {"health": 3}, {"checks": [{}]}, {"suppressed": [{}]}, {"isolation": 3},
    )),
]  # fmt: skip


def _read(folder: Path) -> Report:
    result = child._read_result(folder, 0, SessionOptions("t.py"))
    try:
        return Report.from_dict(result["report"])
    except child._MALFORMED as error:
        raise child._unreadable(error) from None


@pytest.mark.parametrize("forged", FORGED, ids=range(len(FORGED)))
def test_a_forged_result_is_one_line(tmp_path: Path, forged: Any) -> None:
    raw = forged if isinstance(forged, bytes) else json.dumps(forged).encode()
    (tmp_path / RESULT).write_bytes(raw)
    with pytest.raises((InternalError, ProgramError)):
        _read(tmp_path)


def test_a_right_one_is_read(tmp_path: Path) -> None:
    (tmp_path / RESULT).write_text(json.dumps({"report": RIGHT}))
    assert _read(tmp_path).target == "t.py"


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_what_is_no_plain_file_is_not_read(tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").write_text(json.dumps({"report": RIGHT}))
    for name in (RESULT, PROGRESS, STDOUT, STDERR):
        path = tmp_path / name
        {
            "fifo": lambda path=path: os.mkfifo(path),
            "link": lambda path=path: path.symlink_to(tmp_path / "elsewhere"),
            "folder": path.mkdir,
        }[kind]()
    started = time.monotonic()
    with pytest.raises((InternalError, ProgramError)):
        _read(tmp_path)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "3",
        "[3]",
        '{"outcomes": 3, "sources": 3}',
        '{"outcomes": [[0, {"loss": []}]], "depths": 1}',
        b"{}",
        None,
        [(0, None)],
    ],
)
def test_what_workers_send_is_checked(sent: Any) -> None:
    with pytest.raises(ProgramError):
        from_text(Done, sent)
    with pytest.raises(ProgramError):
        from_text(Survey, sent)


def test_no_object_crosses_from_a_worker() -> None:
    """Text is pickled as text: nothing is made again by code of the program's."""

    class Text(str):
        def __reduce__(self) -> Any:
            raise AssertionError("it ran")

    sent = as_text(Done([(0, Outcome(error=Text("a")))]))
    assert from_text(Done, pickle.loads(pickle.dumps(sent))).outcomes[0][1].error == "a"


def test_an_edit_of_another_file_is_not_taken(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text("a = x ** 2\n")
    forged = finding(fix(str(elsewhere), "x ** 2", "evil"))
    plan = plan_fixes([report(forged, target="t.py")], files={(tmp_path / "t.py").resolve()})
    assert plan.fixes == []
    assert plan.unfixed == [forged]
    assert plan_fixes([report(forged)], files={elsewhere.resolve()}).fixes
