"""Anybody's sentence in HTML."""

from __future__ import annotations

from html import escape

from gradcheck.report.layout import printable


def prose(text: str) -> str:
    """With text in backticks as code."""
    pieces = printable(text).split("`")
    if len(pieces) % 2 == 0:  # one is not closed
        return escape(printable(text))
    return "".join(f"<code>{escape(p)}</code>" if i % 2 else escape(p) for i, p in enumerate(pieces))
