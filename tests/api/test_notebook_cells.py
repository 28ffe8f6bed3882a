"""A watch in a notebook cell knows the cells by the numbers that stand beside them."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support import ROOT

CELLS = [
    "import torch, gradcheck\nx, W = torch.randn(8, 4), torch.randn(4, 3)",
    "def backward(y):\n    dy = 3 * y\n    return x.T @ dy",
    "with gradcheck.watch() as watched:\n    y = x @ W\n    loss = (y**2).sum()\n    dW = backward(y)",
    "report = watched.report()\nprint([(f.location.cell, f.location.line, f.message) for f in report.findings])",
    "report",
]


def test_watching_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert notebook.cells[3].outputs[0]["text"] == "[(2, 2, '`dy` is not the gradient of `y`')]\n"
    (shown,) = notebook.cells[4].outputs
    html = "".join(shown["data"]["text/html"])
    assert "dy = 3 * y" in html
    assert "introduced" in html
