"""The verified fixes of a report, put into the text of the cells they belong to. No file is read or written."""

import linecache
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from IPython.core.error import UsageError

from gradcheck.patch.plan import Plan, PlannedFix, plan_fixes
from gradcheck.program.edits.splices import NoSuchPlaceError, located_splice, spliced
from gradcheck.program.live_cell import CellText
from gradcheck.report.model import Report


@dataclass(frozen=True, slots=True)
class FixedCell:
    number: int
    before: str
    after: str
    fixes: tuple[PlannedFix, ...]


@dataclass(slots=True)
class FixedCells(Plan):
    cells: list[FixedCell] = field(default_factory=list)
    # In a file, or a cell that is not known any more.
    elsewhere: list[PlannedFix] = field(default_factory=list)


def fixed_cells(shell: Any, report: Report, text: CellText) -> FixedCells:
    """`text` is the cell that `report` is about; functions of other cells may be at fault too."""
    plan = plan_fixes([report])
    fixed = FixedCells(postponed=plan.postponed, unfixed=plan.unfixed)
    for number in dict.fromkeys(planned.location.cell for planned in plan.fixes):
        fixes = [planned for planned in plan.fixes if planned.location.cell == number]
        before = None if number is None else _before(shell, number, text, fixes)
        if number is None or before is None:
            fixed.elsewhere += fixes
            continue
        splices = [located_splice(before, f.location, f.fix.replacement) for f in fixes]
        fixed.cells.append(FixedCell(number, before, spliced(before, splices), tuple(fixes)))
    return fixed


def next_input(fixed: FixedCells, checked: int, wanted: int | None) -> FixedCell:
    """The cell to put below: the one that is asked for, else the one that was checked, else the only one."""
    if not fixed.cells:
        raise UsageError(
            "%gradcheck_fix: there is no verified fix of a cell; run it without --apply for details"
        )
    known = {cell.number: cell for cell in fixed.cells}
    number = wanted if wanted is not None else checked if checked in known else fixed.cells[0].number
    if number not in known:
        listed = ", ".join(map(str, known))
        raise UsageError(f"%gradcheck_fix: cell {number} has no fix; --cell takes {listed}")
    return known[number]


def _before(shell: Any, number: int, text: CellText, fixes: list[PlannedFix]) -> str | None:
    """The text of a cell in which the lines of the fixes are where they were when they were proved."""
    if number == text.number:
        return text.text
    return next((known for known in _texts(shell, number) if all(_stands(known, f) for f in fixes)), None)


def _texts(shell: Any, number: int) -> Iterator[str]:
    """As it was typed, and as it was run: IPython takes empty lines off the top, and turns magics into calls."""
    typed = shell.history_manager.input_hist_raw if shell.history_manager is not None else []
    if 0 < number < len(typed):
        yield typed[number]
        yield typed[number].lstrip("\n")
    for filename, known in shell.compile._filename_map.items():
        if known == number:
            yield "".join(linecache.getlines(filename))


def _stands(text: str, planned: PlannedFix) -> bool:
    place = planned.location
    lines = tuple(text.split("\n")[place.line - 1 : place.end_line])
    try:
        located_splice(text, place, planned.fix.replacement)
    except NoSuchPlaceError:
        return False
    return planned.old_lines == lines
