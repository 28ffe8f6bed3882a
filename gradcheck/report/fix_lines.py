"""A fix below its finding, as rustc shows a suggestion: the changed lines with their numbers, `-` and `+`."""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile, zip_longest

from rich.cells import cell_len
from rich.text import Text

from gradcheck.checks.finding import Fix
from gradcheck.report.layout import GUTTER, describe, diff_style, first_cells, printable, window


def fix_lines(fix: Fix, margin: int, width: int, elsewhere: bool) -> Iterator[Text]:
    """`margin` is the width of the gutter; `elsewhere` says that the finding is in another file or cell."""
    if elsewhere:
        yield Text.assemble((" " * margin + "--> ", GUTTER), describe(fix.location))
    yield Text(" " * margin + "|", GUTTER)
    removed, added, first = _changed_lines(fix)
    emphasis = list(_emphasis(removed, added))
    for mark, side, which in (("-", removed, 0), ("+", added, 1)):
        for index, line in enumerate(side):
            yield _line(mark, line, emphasis[index][which], first + index, margin, width - margin - 2)


def last_number(fix: Fix) -> int:
    """The largest line number that `fix_lines` shows."""
    removed, added, first = _changed_lines(fix)
    return first + max(len(removed), len(added), 1) - 1


def _line(mark: str, line: str, changed: tuple[int, int], number: int, margin: int, room: int) -> Text:
    """One line, an overlong one cut around what changes in it."""
    before, under = printable(line[: changed[0]]), printable(line[slice(*changed)])
    text, start, length = window(printable(line), cell_len(before), cell_len(under), room)
    style = diff_style(mark)
    shown = Text(text, style)
    if length and (start, length) != (0, cell_len(text)):  # all of it would be no emphasis
        first = len(first_cells(text, start))
        shown.stylize(f"bold underline {style}", first, first + len(first_cells(text[first:], length)))
    return Text.assemble((f"{number:>{margin - 1}} ", GUTTER), (f"{mark} ", style), shown)


def _changed_lines(fix: Fix) -> tuple[list[str], list[str], int]:
    """The lines taken out, those put in, and the number of the first; without what both have at their ends."""
    lines = fix.diff.splitlines()
    removed = [line[1:].removeprefix(" ") for line in lines if line.startswith("-")]
    added = [line[1:].removeprefix(" ") for line in lines if line.startswith("+")]
    ahead = _common(removed, added)
    removed, added = removed[ahead:], added[ahead:]
    behind = _common(removed[::-1], added[::-1])
    return removed[: len(removed) - behind], added[: len(added) - behind], fix.location.line + ahead


def _emphasis(removed: list[str], added: list[str]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """For each pair of lines, the span of either that the other has not: whole names and numbers."""
    for old, new in zip_longest(removed, added, fillvalue=""):
        olds, news = (re.findall(r"\w+|\W", line) for line in (old, new))
        ahead = _common(olds, news)
        behind = len("".join(olds[len(olds) - _common(olds[ahead:][::-1], news[ahead:][::-1]) :]))
        start = len("".join(olds[:ahead]))
        yield (start, len(old) - behind), (start, len(new) - behind)


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many words, or lines, the two begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
