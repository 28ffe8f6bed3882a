"""Writes docs/rules.md from the rules themselves: `python docs/make_rules.py`."""

from __future__ import annotations

from pathlib import Path

from gradcheck.checks.page import rules_page

if __name__ == "__main__":
    Path(__file__).with_name("rules.md").write_text(rules_page(), encoding="utf-8")
