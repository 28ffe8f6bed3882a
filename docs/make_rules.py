"""Writes docs/rules.md and docs/thresholds.md from the rules themselves: `python docs/make_rules.py`."""

from __future__ import annotations

from pathlib import Path

from gradcheck.checks.page import rule_page, thresholds_table
from gradcheck.checks.registry import all_rules
from gradcheck.checks.rule import Rule

_INTRODUCTION = """\
# Thresholds

The numbers that rules compare with. Another value is set for one run by `--threshold GC202.tanh-limit=0.95`, and
permanently in `pyproject.toml`; see [configuration.md](configuration.md).
"""


def rules_page() -> str:
    """All rules on one page, after a table of contents."""
    rules = all_rules()
    rows = (f"| [{r.code}](#{_anchor(r)}) | {r.name} | {r.severity.value} | {r.summary} |" for r in rules)
    head = ["# Rules", "", "| code | name | severity | what it finds |", "|---|---|---|---|", *rows]
    return "\n".join(head) + "\n\n" + "\n".join(map(_with_program, rules))


def _with_program(rule: Rule) -> str:
    """Its page, and where the example is as a whole program, which the tests run as it is and repaired."""
    file = f"examples/{rule.code.lower()}.py"
    measured = "\n### How it is measured\n"
    return rule_page(rule).replace(
        measured, f"\nThe example as a whole program: [{file}]({file}).\n{measured}", 1
    )


def _anchor(rule: Rule) -> str:
    return f"{rule.code} {rule.name}".lower().replace(" ", "-")


def thresholds_page() -> str:
    return f"{_INTRODUCTION}\n{thresholds_table()}"


if __name__ == "__main__":
    for name, page in (("rules.md", rules_page()), ("thresholds.md", thresholds_page())):
        Path(__file__).with_name(name).write_text(page, encoding="utf-8")
