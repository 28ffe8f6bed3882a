"""Puts the real output of a report into the README: `python docs/make_readme.py`.

Between `<!-- NAME -->` and `<!-- end NAME -->` stands what `gradcheck report models/NAME.ipynb` prints.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100
_PLACE = re.compile(r"(<!-- (?P<name>\w+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def output(name: str) -> str:
    """What the command prints where it is no terminal, 100 columns wide."""
    command = [sys.executable, "-m", "gradcheck", "report", f"models/{name}.ipynb"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": str(WIDTH), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    if done.returncode not in (0, 1):  # 1: there are findings
        sys.exit(f"`{' '.join(command)}` ended with status {done.returncode}")
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def filled(text: str) -> str:
    """`text` with every marked place renewed."""
    return _PLACE.sub(lambda m: f"{m[1]}```text\n{output(m['name'])}\n```\n{m[3]}", text)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(filled(readme.read_text(encoding="utf-8")), encoding="utf-8")
