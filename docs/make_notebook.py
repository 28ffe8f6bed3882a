"""Puts the example of `notebook.md` there, and what the magics show for it: `python docs/make_notebook.py`."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).resolve().parent
SET_UP = """\
%load_ext gradcheck
import torch
torch.manual_seed(0)
X, Y = torch.randn(500, 8), torch.randn(500, 1)
W1, W2 = torch.randn(8, 16) * 0.3, torch.randn(16, 1) * 0.3"""
CELL = """\
%%gradcheck --no-health
for i in range(10_000):
    batch = torch.randint(0, 500, (32,))
    x, y = X[batch], Y[batch]
    h = torch.tanh(x @ W1)
    loss = ((h @ W2 - y) ** 2).mean()

    dout = 2 * (h @ W2 - y) / 32
    dW2 = h.T @ dout
    dh = dout @ W2.T
    dW1 = x.T @ (dh * (1 - h))

    W1 -= 0.1 * dW1
    W2 -= 0.1 * dW2"""
FIX = "%gradcheck_fix"


def shown() -> dict[str, str]:
    """The cell, and as text what stands below it and below the fix."""
    os.environ["PYTHONPATH"] = str(DOCS.parent)
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in (SET_UP, CELL, FIX)]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    _, checked, fixed = notebook.cells
    return {"cell": textwrap.indent(CELL, "    "), "report": _block(checked), "fix": _block(fixed)}


def _block(cell: Any) -> str:
    (output,) = cell.outputs
    lines = output["data"]["text/plain"].strip().split("\n")
    return "```text\n" + "\n".join(line.rstrip() for line in lines) + "\n```"


def filled(text: str) -> str:
    """`text` with all of it renewed."""
    for name, block in shown().items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        text = place.sub(lambda match: f"{match[1]}\n{block}\n\n{match[2]}", text)  # noqa: B023  # called at once
    return text


if __name__ == "__main__":
    page = DOCS / "notebook.md"
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
