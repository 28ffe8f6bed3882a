"""The table of gradients, the same in every renderer."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from gradcheck.base import numbers
from gradcheck.judge.verdict import GradientResult, Verdict
from gradcheck.program.location import Location
from gradcheck.report.layout import printable
from gradcheck.report.tables import Column, Table

_LOOKS = {
    Verdict.CORRECT: ("✓", "green"),
    Verdict.INTRODUCED: ("✗", "bold red"),
    Verdict.INHERITED: ("↓", "yellow"),
    Verdict.COMPENSATED: ("⇄", "bold magenta"),
    Verdict.UNOBSERVABLE: ("○", "dim"),
    Verdict.UNCHECKED: ("?", "dim"),
}
SIGNS = {verdict: sign for verdict, (sign, _) in _LOOKS.items()}
STYLES = {verdict: style for verdict, (_, style) in _LOOKS.items()}
_AT_FAULT = (Verdict.INTRODUCED, Verdict.COMPENSATED)


def gradient_table(gradients: Sequence[GradientResult]) -> Table:
    """Headings, and one row of cells per gradient; the verdict is the last."""
    files = Counter(row.location.file for row in gradients)
    main = files.most_common(1)[0][0] if files else ""
    cells = any(row.location.cell is not None for row in gradients)
    columns = (
        Column("name", "name", _name),
        Column("of", "of", shown=lambda of: printable(of or numbers.ABSENT)),
        Column("place", "cell:line" if cells else "line", lambda row: short_place(row.location, main)),
        Column("total", "total", "total_error", numbers.error),
        Column("local", "local", "local_error", numbers.error),
        Column("cosine", "cosine", _cosine, lambda cosine: numbers.value(cosine, 2)),
        Column("worst", "worst element", _worst_index),
        Column("worst_values", "worst element", _worst),
        Column("verdict", "verdict", "verdict.value"),
    )
    return Table.of("gradients", "Gradients", columns, gradients, {"worst"})


def narrower(table: Table) -> list[Table]:
    """The table of gradients, and what narrow pages show of it: the columns that explain least go first, and of the worst
    element first its values."""
    hidden = (table.hidden, {"worst_values"}, {"worst_values", "worst"}, {"worst_values", "worst", "cosine"})
    return [replace(table, hidden=frozenset(names)) for names in hidden]


def _name(row: GradientResult) -> str:
    return printable(row.name) + (f" ×{row.occurrences}" if row.occurrences > 1 else "")


def _cosine(row: GradientResult) -> float | None:
    return None if row.verdict is Verdict.UNOBSERVABLE else row.cosine


def short_place(location: Location, main: str) -> str:
    """`9:65` for line 65 of cell 9, `65` in a script; the file only where it is another one."""
    place = f"{location.line}" if location.cell is None else f"{location.cell}:{location.line}"
    return place if location.file == main else f"{printable(location.file)}:{place}"


def _worst_index(row: GradientResult) -> str:
    # Where nothing is at fault, what differs most differs by rounding.
    if row.worst is None or row.verdict not in _AT_FAULT:
        return numbers.ABSENT
    return numbers.element(row.worst.index)


def _worst(row: GradientResult) -> str:
    if row.worst is None or row.verdict not in _AT_FAULT:
        return numbers.ABSENT
    expected, found = numbers.distinct(row.worst.expected, row.worst.found)
    return f"{_worst_index(row)} {found}, not {expected}"
