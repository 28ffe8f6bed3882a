"""Writes docs/rules.md and docs/thresholds.md from the rules themselves: `python docs/make_rules.py`."""

from __future__ import annotations

from pathlib import Path

from gradcheck.checks.page import rules_page, thresholds_page

if __name__ == "__main__":
    for name, page in (("rules.md", rules_page()), ("thresholds.md", thresholds_page())):
        Path(__file__).with_name(name).write_text(page, encoding="utf-8")
