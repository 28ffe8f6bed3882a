"""A rule's page, and the thresholds of all rules in one table."""

from tabulate import tabulate

from gradcheck.base.thresholds import TABLE
from gradcheck.checks.rule import Rule


def rule_page(rule: Rule) -> str:
    """The full text of one rule, in Markdown."""
    sections = rule.sections
    references = sections.pop("References", "")
    if rule.thresholds:
        rows = (f"- `{t.key}` = {t.default:g} {t.unit}: {t.source}" for t in rule.thresholds)
        sections["Thresholds"] = "\n".join(rows)
    sections["References"] = references
    head = f"## {rule.code} {rule.name}\n\n{sentence(rule.summary)} Severity: {rule.severity.value}."
    return "\n\n".join([head, *(f"### {heading}\n\n{text}" for heading, text in sections.items())]) + "\n"


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


_HEADINGS = ("threshold", "default", "of what", "may be", "source of the number")


def thresholds_table() -> str:
    """A table in Markdown with aligned columns, so that it reads well as plain text too."""
    rows = [
        (f"`{t.key}`", f"{t.default:g}", t.unit.removeprefix("of "), t.range or "any number", t.source)
        for t in TABLE
    ]
    return tabulate(rows, _HEADINGS, tablefmt="github", disable_numparse=True) + "\n"
