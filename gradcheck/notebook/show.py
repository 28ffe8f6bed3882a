"""What is shown under a cell: HTML in a notebook, text in a terminal and wherever HTML cannot be shown."""

import io
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from gradcheck.base import numbers
from gradcheck.notebook.checking import Checked
from gradcheck.notebook.fixing import FixedCell, FixedCells
from gradcheck.patch.show import coloured, coloured_diff, left_out
from gradcheck.report import terminal
from gradcheck.report.html import element
from gradcheck.report.layout import describe
from gradcheck.report.model import Report

_WIDTH = 100


def checked(shell: Any, done: Checked, show_traceback: bool) -> None:
    if done.report is not None:
        _report(shell, done.report, _hints(done))
    elif done.internal is not None:
        text = f"Internal error of gradcheck, please report it: {done.internal.summary}"
        text += f"\n{done.internal.traceback}" if show_traceback else " (`--traceback` shows the details)"
        _shown(shell, element.notice(text), Text(text))
    elif done.notice:
        _shown(shell, element.notice(done.notice), Text(done.notice))


def fixed(shell: Any, found: FixedCells, applied: FixedCell | None) -> None:
    blocks = list(_fixed(found))
    remarks = list(_remarks(found, applied))
    plain = Text("\n").join([*(line for block in blocks for line in block), *map(Text, remarks)])
    _shown(shell, element.listings([Text("\n").join(block) for block in blocks], remarks), plain)


def _report(shell: Any, report: Report, hints: list[str]) -> None:
    if not _is_notebook(shell):
        console = Console(force_jupyter=False)
        terminal.render(report, console)
        for hint in hints:
            console.print(hint, markup=False, highlight=False, soft_wrap=True)
        return
    from gradcheck.report.figures.all import report_pictures  # imports matplotlib

    file = io.StringIO()
    terminal.render(report, Console(file=file, width=_WIDTH, force_terminal=False, force_jupyter=False))
    _publish(shell, element.render(report, report_pictures(report), hints), file.getvalue())


def _hints(done: Checked) -> list[str]:
    """What to know, and what to do next."""
    hints = []
    if done.was_left:
        hints.append("One step was checked: the training loop was left after it, and has not run to its end.")
    if done.report is not None and any(f.fix and f.fix.verified for f in done.report.findings):
        hints.append(
            "`%gradcheck_fix` shows the verified fixes, `%gradcheck_fix --apply` puts the fixed cell below."
        )
    return hints


def _shown(shell: Any, page: str, plain: Text) -> None:
    if _is_notebook(shell):
        _publish(shell, page, plain.plain)
    else:
        Console(force_jupyter=False).print(plain, soft_wrap=True)


def _publish(shell: Any, page: str, plain: str) -> None:
    shell.display_pub.publish({"text/html": page, "text/plain": plain})


def _is_notebook(shell: Any) -> bool:
    """Whether its outputs go to a front end, and not to a terminal."""
    return hasattr(shell, "kernel")


def _fixed(found: FixedCells) -> Iterator[list[Text]]:
    for cell in found.cells:
        yield [Text(f"cell {cell.number}", "bold"), *coloured_diff(cell.before, cell.after)]
    for planned in found.elsewhere:
        yield [Text(describe(planned.location), "bold"), *map(coloured, planned.fix.diff.splitlines())]


def _remarks(found: FixedCells, applied: FixedCell | None) -> Iterator[str]:
    yield from left_out(found, "run the cell again")
    count = sum(len(cell.fixes) for cell in found.cells)
    if applied is not None:
        yield f"cell {applied.number} with its fixes is in the cell below; run it to check them"
        others = [str(cell.number) for cell in found.cells if cell is not applied]
        if others:
            yield f"other cells have fixes too: `%gradcheck_fix --apply --cell {others[0]}`"
    elif count:
        fixes = numbers.count(count, "verified fix", "verified fixes")
        yield f"{fixes}; `%gradcheck_fix --apply` puts the fixed cell below and changes no file"
    elif not found.unfixed and not found.elsewhere:
        yield "nothing to fix: the report has no finding"
    if found.elsewhere:
        yield "fixes outside the cells of this notebook must be applied by hand"
