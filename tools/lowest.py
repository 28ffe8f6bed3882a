"""The lowest versions that pyproject.toml claims, as constraints: `python tools/lowest.py > lowest.txt`.

`make lowest` installs them into a virtual environment of its own, with `pip install -c`, and runs some of the tests there.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

EXTRAS = ("plots", "samples", "notebook", "isolate")  # what people install, not what the tests need


def lowest(pyproject: str) -> list[str]:
    """`numpy==1.26` for each `numpy>=1.26`."""
    project = tomllib.loads(pyproject)["project"]
    needed = [*project["dependencies"]]
    for extra in EXTRAS:
        needed += project["optional-dependencies"][extra]
    found = (re.fullmatch(r"([\w.-]+)>=([\d.]+)", each) for each in needed)
    return sorted({f"{each[1]}=={each[2]}" for each in found if each})


if __name__ == "__main__":
    file = Path(__file__).resolve().parents[1] / "pyproject.toml"
    print("\n".join(lowest(file.read_text(encoding="utf-8"))))
