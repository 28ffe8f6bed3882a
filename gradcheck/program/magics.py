"""Takes IPython's own syntax out of a cell and leaves every line and column of the rest where it was.

IPython's transformer would turn a magic into a call that runs it, and may merge lines; here a magic becomes
`pass` on the same line. A cell that is plain Python is never touched: no magic parses as Python.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from gradcheck.program.reading.tree import parses
from gradcheck.program.scanner import logical_line_starts

# Cell magics that only measure or redirect: their body is ordinary code of the notebook.
_TRANSPARENT = {"time", "timeit", "capture", "prun", "memit", "mprun", "heat", "gradcheck"}
_UNTIMED = "runs once, untimed"
_CELL_MAGIC = re.compile(r"\s*%%([\w.]*)")
_LINE = re.compile(r"(?P<indent>\s*)(?P<mark>[%!?])")
_TIMED = re.compile(
    r"(?P<indent>\s*)(?P<magic>%(?:time|timeit|prun)(?:\s+-\w+(?:\s*\d+)?)*\s)(?P<code>\s*\S.*)"
)
_ASSIGNED = re.compile(r"(?P<target>\s*[^=!%#'\"()]+?=\s*)(?P<mark>[%!])(?!=)")
_HELP = re.compile(r"(?P<indent>\s*)[\w.\[\]*%]+\?{1,2}\s*(#.*)?$")
_AUTOMAGIC = re.compile(r"(?P<indent>\s*)(pip|pip3|conda|mamba|apt|apt-get)\s+(install|uninstall)\b")


@dataclass(frozen=True, slots=True)
class SkippedLine:
    """A line that is not run as written; `cell` counts code cells from 1, or is None for a script."""

    cell: int | None
    line: int
    text: str
    reason: str


def strip_magics(
    text: str, cell: int, run: Callable[[str], str] | None = None
) -> tuple[str, list[SkippedLine]]:
    """`text` as plain Python with the same lines and columns, and what was left out of it. `run`, where there is
    somebody to run magics, makes the Python that runs one and takes its place; only what would run code of
    the cell unseen (`%time`) is left out."""
    if parses(text):
        return text, []
    lines = text.split("\n")
    skipped: list[SkippedLine] = []
    first = _first_code_line(lines)
    while first is not None and (magic := _CELL_MAGIC.match(lines[first])):
        name = magic.group(1)
        runs = name in _TRANSPARENT
        reason = "the cell runs once, without it" if runs else "the whole cell is not run"
        skipped.append(SkippedLine(cell, first + 1, lines[first].strip(), reason))
        if not runs:
            return "\n".join([""] * len(lines)), skipped
        lines[first] = ""
        first = _first_code_line(lines)
    _strip_lines(lines, cell, skipped, run)
    return "\n".join(lines), skipped


def _strip_lines(
    lines: list[str], cell: int, skipped: list[SkippedLine], run: Callable[[str], str] | None
) -> None:
    """Replaces magic lines in place. Only the first line of a statement can hold one: a `%` that opens the
    second line of an expression is an operator."""
    starts = logical_line_starts("\n".join(lines))
    number = 0
    while number < len(lines):
        plain = _without_magic(lines[number]) if number in starts else None
        if plain is None:
            number += 1
            continue
        replacement, reason = plain
        first, statement = number, [lines[number]]
        number += 1
        while statement[-1].rstrip().endswith("\\") and number < len(lines):
            statement.append(lines[number])
            lines[number] = ""
            number += 1
        ran = _running("\n".join(statement), run) if run and reason != _UNTIMED else None
        if ran is None:
            skipped.append(SkippedLine(cell, first + 1, statement[0].strip(), reason))
        lines[first] = ran or replacement
        starts = logical_line_starts("\n".join(lines))  # a quote in a shell line no longer counts


def _running(statement: str, run: Callable[[str], str]) -> str | None:
    """The line that runs a magic, None if it takes several."""
    indent = statement[: len(statement) - len(statement.lstrip())]
    code = run(statement.strip()).strip()
    return indent + code if "\n" not in code and parses(code) else None


def _without_magic(line: str) -> tuple[str, str] | None:
    """What replaces the line, and why; None if there is no magic on it."""
    if timed := _TIMED.match(line):
        # `if 1:` takes the place of `%time `, so that the timed code keeps its columns.
        plain = "if 1:".ljust(len(timed["magic"])) + timed["code"]
        if parses(plain):
            return timed["indent"] + plain, _UNTIMED
    if magic := _LINE.match(line):
        reasons = {"%": "magics are not run", "!": "shell commands are not run", "?": "help is not shown"}
        return magic["indent"] + "pass", reasons[magic["mark"]]
    if help_line := _HELP.match(line):
        return help_line["indent"] + "pass", "help is not shown"
    if automagic := _AUTOMAGIC.match(line):
        return automagic["indent"] + "pass", "shell commands are not run"
    if assigned := _ASSIGNED.match(line):
        empty = "[]" if assigned["mark"] == "!" else "None"
        return assigned["target"] + empty, f"not run; the name is bound to {empty}"
    return None


def _first_code_line(lines: list[str]) -> int | None:
    """Index of the first line that is not blank; a cell magic may only be there."""
    return next((i for i, line in enumerate(lines) if line.strip()), None)
