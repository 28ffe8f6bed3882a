"""`gradcheck fix --write` on a program with several faults: right afterwards, and nothing else is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Invoke
from tests.support import ROOT

DAY70 = {
    "(var_2 + 1e-5) ** 0.5": "(var_2 + 1e-5) ** -0.5",
    "d_A_1 = d_Z_2 @ W_2.T": "d_A_1 = d_pre_batch_norm_2 @ W_2.T",
    "d_W_2 = A_1.T @ d_Z_2": "d_W_2 = A_1.T @ d_pre_batch_norm_2",
    "d_b_2 = d_Z_2.sum(0)": "d_b_2 = d_pre_batch_norm_2.sum(0)",
}


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_the_written_program_is_right(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "day70.ipynb"
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "models/data", tmp_path / "data")
    before = (ROOT / "models" / name).read_text()
    (tmp_path / name).write_text(before)
    # The stale calibration (GC304) is not a fault of the gradients, and no fix of it is known.
    written = invoke("fix", "--write", "--select", "GC1", name)
    assert written.status == 0, written.out + written.err
    after = (tmp_path / name).read_text()
    assert _changes(before, after) == DAY70
    report: dict[str, Any] = json.loads(
        invoke("report", "--select", "GC1", name, "--format", "json", "--output", "-").out
    )
    assert report["summary"]["introduced"] == 0
    assert not [finding["rule"] for finding in report["findings"] if finding["severity"] == "error"]


def _changes(before: str, after: str) -> dict[str, str]:
    """Which of the known edits is in the lines that changed; a line that changed otherwise fails."""
    found = {}
    old_lines, new_lines = before.split("\n"), after.split("\n")
    assert len(old_lines) == len(new_lines)
    for old, new in zip(old_lines, new_lines, strict=True):
        if old != new:
            (key,) = [text for text in DAY70 if text in old and old.replace(text, DAY70[text]) == new]
            found[key] = DAY70[key]
    return found
