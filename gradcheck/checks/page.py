"""A rule's page, for `gradcheck rule` and for docs/rules.md; and the thresholds of all rules in one table."""

from tabulate import tabulate

from gradcheck.base.thresholds import TABLE
from gradcheck.checks.registry import all_rules
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


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _anchor(rule: Rule) -> str:
    return f"{rule.code} {rule.name}".lower().replace(" ", "-")


_HEADINGS = ("threshold", "default", "of what", "may be", "source of the number")
_INTRODUCTION = """\
# Thresholds

The numbers that rules compare with. Another value is set for one run by `--threshold GC202.tanh-limit=0.95`, and
permanently in `pyproject.toml`; see [configuration.md](configuration.md).
"""


def thresholds_table() -> str:
    """A table in Markdown with aligned columns, so that it reads well as plain text too."""
    rows = [
        (f"`{t.key}`", f"{t.default:g}", t.unit.removeprefix("of "), t.range or "any number", t.source)
        for t in TABLE
    ]
    return tabulate(rows, _HEADINGS, tablefmt="github", disable_numparse=True) + "\n"


def thresholds_page() -> str:
    return f"{_INTRODUCTION}\n{thresholds_table()}"
