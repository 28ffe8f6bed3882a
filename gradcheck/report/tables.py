"""Every table of a report as data: for Markdown, for a DataFrame, for readers of the JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradcheck.base import numbers
from gradcheck.base.paths import at

if TYPE_CHECKING:
    import pandas


def plain(value: Any) -> str:
    """A cell as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return numbers.value(value, 3) if isinstance(value, float) else str(value)


def percent(share: float | None) -> str:
    """`0.031` as `3.1 %`; what is not quite 0 or 100 never reads as that."""
    if share is None:
        return "-"
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def are_numbers(rows: Sequence[Sequence[str]]) -> list[bool]:
    """For each column whether its cells are numbers, which stand below each other from the right."""
    return [all(map(_is_number, column)) for column in zip(*rows, strict=True)]


def _is_number(cell: str) -> bool:
    """`0.43`, `2e-16`, `9:65`; or one that is not known."""
    with suppress(ValueError):
        float(cell.replace(":", ""))
        return True
    return cell == numbers.ABSENT


@dataclass(frozen=True, slots=True)
class Column:
    """`name` is the column of the DataFrame, `heading` what a person reads, with the unit. `value` takes the cell from
    a record: a path of attributes (`location.line`; None if a part of it is None), or a function."""

    name: str
    heading: str
    value: str | Callable[[Any], Any] = ""  # the attribute `name`
    shown: Callable[[Any], str] = plain

    def of(self, record: Any) -> Any:
        if not isinstance(self.value, str):
            return self.value(record)
        return at(record, self.value or self.name)


def columns(fields: str) -> tuple[Column, ...]:
    """Of `fields`, which are names of attributes, or `name=path`; a heading reads like its name."""
    pairs = (field.partition("=") for field in fields.split())
    return tuple(Column(name, name.replace("_", " "), path) for name, _, path in pairs)


@dataclass(slots=True)
class Table:
    """`rows` hold plain values in the order of `columns`; `hidden` columns are for the DataFrame alone."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    hidden: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        name: str,
        title: str,
        columns: tuple[Column, ...],
        records: Iterable[Any],
        hidden: Iterable[str] = (),
    ) -> Table:
        """One row for each record."""
        rows = [tuple(column.of(record) for column in columns) for record in records]
        return cls(name, title, columns, rows, frozenset(hidden))

    def shown(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and cells as text."""
        kept = [i for i, column in enumerate(self.columns) if column.name not in self.hidden]
        headings = [self.columns[i].heading for i in kept]
        return headings, [[self.columns[i].shown(row[i]) for i in kept] for row in self.rows]

    def to_dataframe(self) -> pandas.DataFrame:
        import pandas  # takes half a second, and most reports are never asked for one

        return pandas.DataFrame(self.rows, columns=[column.name for column in self.columns])
