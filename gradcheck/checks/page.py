"""A rule's page, for `gradcheck rule` and for docs/rules.md."""

from __future__ import annotations

from gradcheck.checks.registry import all_rules
from gradcheck.checks.rule import Rule


def rule_page(rule: Rule) -> str:
    """The full text of one rule, in Markdown."""
    parts = [
        f"## {rule.code} {rule.name}",
        f"{sentence(rule.summary)} Severity: {rule.severity.value}.",
        f"### What it does\n\n{rule.what_it_does}",
        f"### Why is this bad?\n\n{rule.why_is_this_bad}",
        f"### Example\n\n{_code(rule.example)}",
        f"### Use instead\n\n{_code(rule.use_instead)}",
        f"### How it is measured\n\n{rule.how_it_is_measured}",
    ]
    if rule.thresholds:
        rows = (f"- `{t.key}` = {t.default:g} {t.unit}: {t.source}" for t in rule.thresholds)
        parts.append("### Thresholds\n\n" + "\n".join(rows))
    parts.append("### References\n\n" + "\n".join(f"- {reference}" for reference in rule.references))
    return "\n\n".join(parts) + "\n"


def rules_page() -> str:
    """All rules on one page, after a table of contents."""
    rules = all_rules()
    rows = (f"| [{r.code}](#{_anchor(r)}) | {r.name} | {r.severity.value} | {r.summary} |" for r in rules)
    head = ["# Rules", "", "| code | name | severity | what it finds |", "|---|---|---|---|", *rows]
    return "\n".join(head) + "\n\n" + "\n".join(rule_page(rule) for rule in rules)


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _anchor(rule: Rule) -> str:
    return f"{rule.code} {rule.name}".lower().replace(" ", "-")


def _code(text: str) -> str:
    return f"```python\n{text}\n```"
