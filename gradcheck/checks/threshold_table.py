"""All thresholds in one table, for `gradcheck rules --thresholds` and for docs/thresholds.md."""

from __future__ import annotations

from gradcheck.base.thresholds import TABLE, Threshold

_HEADINGS = ("threshold", "default", "of what", "may be", "source of the number")
_INTRODUCTION = """\
# Thresholds

The numbers that rules compare with. Another value is set for one run by `--threshold GC202.tanh-limit=0.95`, and
permanently in `pyproject.toml`; see [configuration.md](configuration.md).
"""


def thresholds_table() -> str:
    """A table in Markdown with aligned columns, so that it reads well as plain text too."""
    rows = [_HEADINGS, *map(_row, TABLE)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line([c.ljust(width) for c, width in zip(row, widths, strict=True)]) for row in rows]
    lines.insert(1, _line(["-" * width for width in widths]))
    return "\n".join(lines) + "\n"


def thresholds_page() -> str:
    return f"{_INTRODUCTION}\n{thresholds_table()}"


def _row(threshold: Threshold) -> tuple[str, ...]:
    return (
        f"`{threshold.key}`",
        f"{threshold.default:g}",
        threshold.unit.removeprefix("of "),
        threshold.range or "any number",
        threshold.source,
    )


def _line(cells: list[str]) -> str:
    # A bar within a cell would end it.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
