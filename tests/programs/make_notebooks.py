"""Write the notebooks from `notebook_sources/*.txt`: `python tests/programs/make_notebooks.py [--check]`.

In a source, `# %%` begins a code cell and `# %% [markdown]` a text cell (its lines stand behind `# `).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def notebook(text: str) -> dict[str, Any]:
    cells: list[dict[str, Any]] = []
    for piece in ("\n" + text).split("\n# %%")[1:]:
        head, _, body = piece.partition("\n")
        lines = body.strip("\n").split("\n")
        cell: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
        if "[markdown]" in head:
            cell = {"cell_type": "markdown", "metadata": {}}
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        cell["id"] = f"cell-{len(cells) + 1}"
        cell["source"] = [line + "\n" for line in lines[:-1]] + lines[-1:]
        cells.append(dict(sorted(cell.items())))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def main(arguments: list[str]) -> int:
    stale = []
    for source in sorted(HERE.glob("notebook_sources/*.txt")):
        target = HERE / f"{source.stem}.ipynb"
        text = json.dumps(notebook(source.read_text(encoding="utf-8")), indent=1, ensure_ascii=False) + "\n"
        if "--check" in arguments:
            if not target.exists() or target.read_text(encoding="utf-8") != text:
                stale.append(target.name)
        else:
            target.write_text(text, encoding="utf-8")
    if stale:
        print("stale:", *stale)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
