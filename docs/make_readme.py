"""Puts the real output of some commands into the README: `python docs/make_readme.py`.

Between `<!-- NAME -->` and `<!-- end NAME -->` stands what the command of that name prints. `python docs/make_readme.py numpy`
renews that place alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Container
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100
COMMANDS = {
    "numpy": ("fix", "models/day70_numpy.py", "--select", "GC1"),
    "day70": ("report", "models/day70.ipynb", "--select", "GC1"),
    "health": ("report", "models/day70.ipynb", "--select", "GC301,GC304,GC402,GC601", "--at", "0,3000"),
    "isolate": ("isolate", "models/day70.ipynb"),
}
_PLACE = re.compile(r"(<!-- (?P<name>\w+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def output(name: str) -> str:
    """What the command prints where it is no terminal, 100 columns wide."""
    command = [sys.executable, "-m", "gradcheck", *COMMANDS[name]]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": str(WIDTH), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    if done.returncode not in (0, 1):  # 1: there are findings
        sys.exit(f"`{' '.join(command)}` ended with status {done.returncode}")
    text = "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())
    return text if name != "health" else _findings(text)


def _findings(text: str) -> str:
    """The excerpts alone: the table of gradients has been shown."""
    first = re.search(r"^(error|warning|note)\[", text, re.MULTILINE)
    last = re.search(
        r"^(health|not triggered|Found|left the|recording):? ", text[first.start() :] if first else "", re.M
    )
    if first is None or last is None:
        sys.exit("the report on the health of day70 has no findings")
    return text[first.start() : first.start() + last.start()].rstrip()


def filled(text: str, names: Container[str] = COMMANDS) -> str:
    """`text` with every marked place of these names renewed."""

    def renewed(place: re.Match[str]) -> str:
        if place["name"] not in names:
            return place[0]
        return f"{place[1]}```text\n{output(place['name'])}\n```\n{place[3]}"

    return _PLACE.sub(renewed, text)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(filled(readme.read_text(encoding="utf-8"), sys.argv[1:] or COMMANDS), encoding="utf-8")
