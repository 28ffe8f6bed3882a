"""All thresholds in one table, for `gradcheck rules --thresholds` and for docs/thresholds.md."""

from tabulate import tabulate

from gradcheck.base.thresholds import TABLE

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
