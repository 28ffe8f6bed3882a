"""Anybody's text in Markdown: shown as it is, and never read as markup or HTML."""

from __future__ import annotations

import re

from gradcheck.report.layout import printable

_CODE = re.compile(r"(`[^`]+`)")
_MARKUP = re.compile(r"([\\`*_|<>\[\]#~])")


def escaped(text: str) -> str:
    """`text` with nothing in it read as Markdown, outside of its `code`."""
    pieces = _CODE.split(printable(text))
    return "".join(
        piece if number % 2 else _MARKUP.sub(r"\\\1", piece) for number, piece in enumerate(pieces)
    )


def code(text: str) -> str:
    """As code in a table, whatever backticks it holds."""
    shown = printable(text).replace("|", "&#124;")
    longest = _longest_run(shown)
    if not longest:
        return f"`{shown}`"
    fence = "`" * (longest + 1)
    return f"{fence} {shown} {fence}"


def fenced(body: str) -> str:
    """A block of code."""
    fence = "`" * max(3, _longest_run(body) + 1)
    return f"{fence}text\n{body}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
