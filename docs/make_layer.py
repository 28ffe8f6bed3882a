"""Puts what `gradcheck layer` says of `my_norm.py` into `layer.md`: `python docs/make_layer.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
_PLACE = re.compile(r"(<!-- layer -->\n).*?(<!-- end layer -->)", re.DOTALL)


def report() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gradcheck", "layer", "my_norm.py::LayerNorm"],
        cwd=DOCS,
        env=os.environ | {"PYTHONPATH": str(DOCS.parent), "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    if done.returncode != 1:
        sys.exit(f"gradcheck ended with status {done.returncode}:\n{done.stdout}")
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def filled(text: str) -> str:
    """`text` with the report renewed."""
    return _PLACE.sub(lambda match: f"{match[1]}```text\n{report()}\n```\n{match[2]}", text)


if __name__ == "__main__":
    page = DOCS / "layer.md"
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
