"""What the documentation shows of the magics is what happens."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tests.support import ROOT


def normalised(text: str) -> str:
    """Without what differs from machine to machine: the digits of rounding, and the lines they are wrapped into."""
    return " ".join(re.sub(r"-?\d+(\.\d+)?(e-?\d+)?", "N", text).split())


@pytest.mark.slow
def test_the_example_is_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # put back afterwards
    path = ROOT / "docs/make_notebook.py"
    spec = importlib.util.spec_from_file_location("make_notebook", path)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    page = (ROOT / "docs/notebook.md").read_text(encoding="utf-8")
    assert normalised(page) == normalised(generator.filled(page)), "run `python docs/make_notebook.py`"
    assert "**2))" in page
