"""Fixes and patches as a person reads them in a terminal."""

import difflib
from collections.abc import Iterator
from itertools import islice

from rich.text import Text

from gradcheck.checks.finding import Finding
from gradcheck.patch.files import PatchedFile
from gradcheck.patch.plan import Plan, PlannedFix
from gradcheck.patch.unified import unified_diff
from gradcheck.report.layout import describe, diff_style, printable
from gradcheck.report.snippet import STYLES

_CONTEXT = 2  # lines


def coloured_patch(file: PatchedFile) -> Text:
    """The unified diff in colours; before that of a notebook, its cells as code instead of as JSON."""
    lines = unified_diff(file).decode("utf-8", "replace").split("\n")[:-1]
    shown = [*(Text(printable(line), "bold") for line in lines[:2]), *map(coloured, lines[2:])]
    if file.is_notebook:
        shown = [*_cells(file), Text(f"The same as a patch of {printable(file.shown)}:", "dim"), *shown]
    return Text("\n").join(shown)


def applied_fix(planned: PlannedFix) -> Text:
    """`fixed day70.ipynb [cell 5] line 52, column 9` and the changed lines."""
    head = Text.assemble(("fixed ", "bold green"), describe(planned.location))
    diff = [Text.assemble("    ", coloured(line)) for line in planned.fix.diff.splitlines()]
    return Text("\n").join([head, *diff])


def finding_line(finding: Finding) -> Text:
    """One line: where, how bad, what."""
    head = f"{finding.severity.value}[{finding.rule}]"
    return Text.assemble(
        f"{describe(finding.location)}: ", (head, STYLES[finding.severity]), f": {printable(finding.message)}"
    )


def left_out(plan: Plan, again: str) -> Iterator[str]:
    """In words: the fixes that wait, and what has none."""
    for waiting, blocker in plan.postponed:
        yield (
            f"the fix at {describe(waiting.location)} is left out: it overlaps with the one at "
            f"{describe(blocker.location)}; apply that, and {again}"
        )
    for finding in plan.unfixed:
        yield f"no verified fix: {finding_line(finding).plain}"


def coloured_diff(before: str, after: str) -> Iterator[Text]:
    """What changes in a cell, with a little of what is around it."""
    diff = difflib.unified_diff(before.split("\n"), after.split("\n"), n=_CONTEXT, lineterm="")
    yield from map(coloured, islice(diff, 2, None))


def coloured(line: str) -> Text:
    """One line of a diff."""
    return Text(printable(line), "cyan" if line.startswith("@@") else diff_style(line))


def _cells(file: PatchedFile) -> Iterator[Text]:
    before, after = file.texts(file.before), file.texts(file.after)
    for cell in dict.fromkeys(planned.location.cell for planned in file.fixes):
        yield Text(f"{printable(file.shown)} [cell {cell}]", "bold")
        yield from coloured_diff(before[cell], after[cell])
        yield Text()
