"""What `docs/layer.md` shows is what happens."""

from __future__ import annotations

import importlib.util
import re

from tests.support import ROOT


def normalised(text: str) -> str:
    """Without what differs from machine to machine: the digits of rounding, and the lines they are wrapped into."""
    return " ".join(re.sub(r"-?\d+(\.\d+)?(e-?\d+)?", "N", text).split())


def test_the_report_shown_is_what_is_printed():
    spec = importlib.util.spec_from_file_location("make_layer", ROOT / "docs" / "make_layer.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    page = (ROOT / "docs" / "layer.md").read_text(encoding="utf-8")
    shown = page.partition("```text\n")[2].partition("\n```")[0]
    assert normalised(shown) == normalised(generator.report()), "run `python docs/make_layer.py`"
    assert "^^^^" in shown
