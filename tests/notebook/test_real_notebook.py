"""A notebook executed by a kernel, as `jupyter execute` does it."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.notebook.test_checking import SET_UP, WRONG
from tests.support import ROOT

CELLS = [
    "%load_ext gradcheck",
    SET_UP + "\nsteps = []",
    f"%%gradcheck --sweep 8\n%matplotlib inline\n{WRONG}\nlen(steps)",
    "%gradcheck_fix --apply",
    "print(len(steps), i)",
]


@pytest.fixture(autouse=True)
def _kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def made(cells: list[str]) -> nbformat.NotebookNode:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in cells]
    return notebook


@pytest.mark.slow
def test_checking_and_fixing() -> None:
    payloads: list[Any] = []

    def executed(cell: Any, cell_index: int, execute_reply: Any) -> None:
        payloads.extend(execute_reply["content"]["payload"])

    notebook = made(CELLS)
    NotebookClient(notebook, timeout=120, kernel_name="python3", on_cell_executed=executed).execute()

    value, shown = notebook.cells[2].outputs
    assert value["data"]["text/plain"] == "1"
    page, plain = shown["data"]["text/html"], shown["data"]["text/plain"]
    assert "cell 3: 2 gradients: 1 introduced, 1 inherited" in plain
    assert "cell 3 line 3 was left after its iteration 0" in " ".join(plain.split())
    assert page.count('<img src="data:image/png;base64,') >= 1
    assert "http" not in page
    (diff,) = notebook.cells[3].outputs
    assert "+    dy = 2 * (y - target)" in diff["data"]["text/plain"]
    assert notebook.cells[4].outputs[0]["text"] == "1 0\n"
    (payload,) = payloads
    assert payload["source"] == "set_next_input"
    assert payload["replace"] is False
    assert payload["text"] == CELLS[2].replace("3 * (", "2 * (")


@pytest.mark.slow
def test_a_cell_that_raises_ends_the_run_of_all_cells() -> None:
    cell = f"%%gradcheck --no-health --fix-budget 0\n{WRONG.replace('500', '1')}\nW @ W"
    notebook = made([*CELLS[:2], cell, "print('reached')"])
    with pytest.raises(CellExecutionError, match="mat1 and mat2 shapes cannot be multiplied"):
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown, error = notebook.cells[2].outputs
    assert "cell 3 line 9 raised RuntimeError" in shown["data"]["text/plain"]
    assert "\x1b" not in shown["data"]["text/plain"]
    assert "1 introduced" in shown["data"]["text/plain"]
    trace = "\n".join(error["traceback"])
    assert "W @ W" in without_colours(trace)
    assert "gradcheck/" not in trace
    assert notebook.cells[3].outputs == []


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
