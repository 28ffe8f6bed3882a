"""Puts the failure of a broken copy of `test_my_layer.py` into `pytest.md`: `python docs/make_pytest.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
RIGHT = "return (dxhat - mean"
BROKEN = "return (dout - mean"  # the same, as long as gamma is 1
_PLACE = re.compile(r"(<!-- failure -->\n).*?(<!-- end failure -->)", re.DOTALL)


def failure() -> str:
    """What pytest prints for the first test that fails."""
    text = (DOCS / "test_my_layer.py").read_text(encoding="utf-8")
    assert text.count(RIGHT) == 1
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_my_layer.py").write_text(text.replace(RIGHT, BROKEN), encoding="utf-8")
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        Path(folder, "conftest.py").write_text("import torch\ntorch.manual_seed(0)\n")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "shape1"],
            cwd=folder,
            env=os.environ
            | {
                "PYTHONPATH": str(DOCS.parent),
                "COLUMNS": "100",
                "PYTEST_ADDOPTS": "",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
    if done.returncode != 1:
        sys.exit(f"pytest ended with status {done.returncode}:\n{done.stdout}")
    shown = done.stdout[done.stdout.index("_____") : done.stdout.index("====", done.stdout.index("_____"))]
    return "\n".join(line.rstrip() for line in shown.strip().splitlines())


def filled(text: str) -> str:
    """`text` with the failure renewed."""
    return _PLACE.sub(lambda match: f"{match[1]}```text\n{failure()}\n```\n{match[2]}", text)


if __name__ == "__main__":
    page = DOCS / "pytest.md"
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
