"""What the documentation shows of pytest and of the Python API is what happens."""

from __future__ import annotations

import doctest
import importlib.util
import re

import pytest

from tests.support import ROOT

DOCS = ROOT / "docs"


def normalised(text: str) -> str:
    """Without what differs from machine to machine: the digits of rounding, and the lines they are wrapped into."""
    words = re.sub(r"\nE\s+=?", " ", text).replace("_", "")
    return " ".join(re.sub(r"-?\d+(\.\d+)?(e-?\d+)?", "N", words).split())


def test_the_file_to_copy_is_short_and_passes(pytester: pytest.Pytester, run):
    text = (DOCS / "test_my_layer.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 30
    run(text).assert_outcomes(passed=3)
    run(text, plugin=False).assert_outcomes(passed=3)


def test_the_failure_shown_is_what_pytest_prints():
    spec = importlib.util.spec_from_file_location("make_pytest", DOCS / "make_pytest.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    page = (DOCS / "pytest.md").read_text(encoding="utf-8")
    shown = page.partition("```text\n")[2].partition("\n```")[0]
    assert normalised(shown) == normalised(generator.failure()), "run `python docs/make_pytest.py`"
    assert generator.BROKEN in shown
    assert "^^^^" in shown


def test_the_examples_of_the_api_run():
    outcome = doctest.testfile(str(DOCS / "api.md"), module_relative=False)
    assert outcome.attempted > 10
    assert outcome.failed == 0
