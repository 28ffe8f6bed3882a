"""A finding as rustc and Elm would show it: the code, the person's own line with a caret, then the why.

Everything is laid out in terminal cells, not characters: a tab, a wide character or a combining accent in
the person's line must not push the caret off its expression.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from gradcheck.checks.finding import Finding, Severity
from gradcheck.program.location import Location
from gradcheck.report.excerpts import Excerpt

TAB = "    "
STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}
_GUTTER = "bold blue"
_MOST_LINES = 6  # of a span; a longer one is shown by its ends
_LEAST_LABEL = 36  # cells; a label with less room than this moves to the left


def render_finding(finding: Finding, excerpt: Excerpt | None, width: int) -> Text:
    """The finding in lines of at most `width` cells, as far as its words allow."""
    margin = len(str(finding.location.end_line)) + 2
    style = STYLES[finding.severity]
    out = Text()
    head = f"{finding.severity.value}[{finding.rule}]"
    lines = wrapped(f"{head}: {printable(finding.message)}", width, "  ")
    out.append(head, style)
    out.append("\n".join(lines)[len(head) :] + "\n", "bold")
    out.append(" " * margin + "--> ", _GUTTER)
    out.append(f"{describe(finding.location)}\n")
    if excerpt is not None:
        for row in _source(finding, excerpt, margin, width):
            out.append_text(row).append("\n")
        out.append(" " * margin + "|\n", _GUTTER)
    elif finding.label:
        out.append_text(_attached(margin, "", finding.label, width))
    for lead, text in _remarks(finding):
        out.append_text(_attached(margin, lead, text, width))
    out.right_crop(1)  # the last newline: the caller decides what stands between findings
    return out


def describe(location: Location) -> str:
    """`day70.ipynb [cell 9] line 65, column 11`."""
    cell = "" if location.cell is None else f" [cell {location.cell}]"
    return f"{printable(location.file)}{cell} line {location.line}, column {location.column}"


def printable(text: str) -> str:
    """`text` without what would move the cursor or colour the terminal: it comes from anybody's file."""
    shown = text.replace("\t", TAB).replace("\n", " ")
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cc" else c for c in shown)


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """`text` in lines, further ones indented; names are never broken."""
    return textwrap.wrap(
        text, max(width, 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _remarks(finding: Finding) -> Iterator[tuple[str, str]]:
    if finding.expected:
        yield "expected: ", finding.expected
    if finding.found:
        yield "found:    ", finding.found
    for note in finding.notes:
        yield "note: ", note
    for advice in finding.helps:
        yield "help: ", advice
    if finding.fix is not None:
        yield (
            "help: ",
            "this fix was proved by replay:" if finding.fix.verified else "a fix that was not proved:",
        )
        for line in finding.fix.diff.splitlines():
            yield "", line


def _attached(margin: int, lead: str, text: str, width: int) -> Text:
    """A remark below the excerpt: `  = note: ...`, continued under its own text."""
    out = Text()
    if not lead:
        out.append(f"{' ' * margin}    {printable(text)}\n")
        return out
    indent = " " * (margin + 2 + len(lead))
    lines = wrapped(indent + printable(text), width, indent)
    out.append(" " * margin + "= ", _GUTTER)
    out.append(lead, "bold")
    out.append("\n".join(lines)[len(indent) :] + "\n")
    return out


def _source(finding: Finding, excerpt: Excerpt, margin: int, width: int) -> Iterator[Text]:
    """The numbered lines of the span, each with carets under its part; the label beside the last."""
    style = STYLES[finding.severity]
    room = width - margin - 2
    yield Text(" " * margin + "|", _GUTTER)
    previous = None
    for number in _shown_lines(finding.location):
        if previous is not None and number != previous + 1:
            yield Text("...", _GUTTER)
        previous = number
        text, start, length = _window(*_underlined(excerpt.line(number), number, finding.location), room)
        yield Text.assemble((f" {number:>{margin - 2}} | ", _GUTTER), text)
        if length and number != finding.location.end_line:
            yield Text.assemble((" " * margin + "| ", _GUTTER), (" " * start + "^" * length, style))
    if not length:
        return
    bar = (" " * margin + "| ", _GUTTER)
    carets = " " * start + "^" * length
    label = printable(finding.label)
    if start + length + 1 + cell_len(label) <= room:
        yield Text.assemble(bar, (f"{carets} {label}".rstrip(), style))
        return
    yield Text.assemble(bar, (carets, style))
    start = start if room - start >= _LEAST_LABEL else min(start, 4)
    for line in wrapped(label, room - start):
        yield Text.assemble(bar, (" " * start + line, style))


def _shown_lines(location: Location) -> list[int]:
    numbers = list(range(location.line, location.end_line + 1))
    return numbers if len(numbers) <= _MOST_LINES else [*numbers[:2], *numbers[-2:]]


def _underlined(line: str, number: int, location: Location) -> tuple[str, int, int]:
    """The line as shown, and the cells where its carets start and how many there are."""
    body = line.rstrip()
    first = location.column - 1 if number == location.line else len(body) - len(body.lstrip())
    end = location.end_column - 1 if number == location.end_line else len(body)
    if not 0 <= first < min(end, len(body)):  # a position that the line does not have: point at all of it
        first, end = len(body) - len(body.lstrip()), len(body)
    before, under = printable(body[:first]), printable(body[first:end])
    return printable(body), cell_len(before), cell_len(under)


def _window(text: str, start: int, length: int, room: int) -> tuple[str, int, int]:
    """The part of an overlong line that holds the start of the span."""
    if cell_len(text) <= room:
        return text, start, length
    if start + length > room - 3 and start > room // 2:
        keep_from = start - room // 4
        dropped = ""
        for character in text:
            if cell_len(dropped) >= keep_from:
                break
            dropped += character
        text, start = "..." + text[len(dropped) :], start - cell_len(dropped) + 3
    if cell_len(text) > room:
        text = set_cell_size(text, room - 3) + "..."
        length = min(length, room - 3 - start)
    return text, start, length
