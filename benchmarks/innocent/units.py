"""A program as the pieces of text it consists of, each statement marked with the line it came from.

A mark is a comment at the end of a statement (`#@12`): it stays with the statement wherever an edit moves it, and what
an edit makes out of two statements has both marks. `Lines` reads the marks, and takes them out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

_MARK = re.compile(r" *#@([\d:,]+)$")
Old = tuple[int, int]  # unit, line; units and lines count from 1


def read_units(program: Path) -> list[str]:
    """The text of a script, or of each code cell of a notebook."""
    text = program.read_text(encoding="utf-8")
    if program.suffix != ".ipynb":
        return [text]
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]


def write_units(program: Path, units: Sequence[str]) -> None:
    if program.suffix != ".ipynb":
        program.write_text(units[0], encoding="utf-8")
        os.utime(program)
        return
    notebook = json.loads(program.read_text(encoding="utf-8"))
    blank = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cells = []
    for number, unit in enumerate(units):
        cell = {**blank, "source": unit.splitlines(keepends=True)}
        cells.append(cell | ({"id": f"cell-{number}"} if "id" in blank else {}))
    program.write_text(json.dumps(notebook | {"cells": cells}), encoding="utf-8")


def marked(text: str, unit: int) -> cst.Module:
    """Every simple statement with its mark. Raises cst.ParserSyntaxError on a cell with a magic in it."""
    wrapper = MetadataWrapper(cst.parse_module(text))
    return wrapper.module.visit(_Marker(wrapper.resolve(PositionProvider), unit))


class _Marker(cst.CSTTransformer):
    def __init__(self, positions: Any, unit: int) -> None:
        super().__init__()
        self.positions, self.unit = positions, unit

    def _with_mark(self, old: cst.CSTNode, new: Any) -> Any:
        return with_marks(new, [f"{self.unit}:{self.positions[old].start.line}"])

    def leave_SimpleStatementLine(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802
        return self._with_mark(original_node, updated_node)

    def leave_SimpleStatementSuite(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802
        return self._with_mark(original_node, updated_node)


def marks_of(line: Any) -> list[str]:
    comment = line.trailing_whitespace.comment
    found = _MARK.search(" " + comment.value) if comment else None
    return found.group(1).split(",") if found else []


def with_marks(line: Any, marks: Sequence[str]) -> Any:
    """The statement with these marks in place of its own."""
    space = line.trailing_whitespace
    comment = _MARK.sub("", " " + space.comment.value).strip() if space.comment else ""
    mark = f"{comment} #@{','.join(marks)}".strip()
    new = space.with_changes(whitespace=cst.SimpleWhitespace("  "), comment=cst.Comment(mark))
    return line.with_changes(trailing_whitespace=new)


def statement(source: str, like: Any) -> Any:
    """A new statement that stands for an old one."""
    made = cst.parse_statement(source)
    if isinstance(made, cst.SimpleStatementLine):
        return with_marks(made, marks_of(like))
    return made.visit(_MarkAll(marks_of(like)))


class _MarkAll(cst.CSTTransformer):
    def __init__(self, marks: Sequence[str]) -> None:
        super().__init__()
        self.marks = marks

    def leave_SimpleStatementLine(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802
        return updated_node if marks_of(updated_node) else with_marks(updated_node, self.marks)


@dataclass(frozen=True)
class Lines:
    """The texts without their marks, and for each line the old lines it stands for."""

    texts: tuple[str, ...]
    old: dict[Old, frozenset[Old]]

    @classmethod
    def read(cls, texts: Sequence[str]) -> Lines:
        old: dict[Old, frozenset[Old]] = {}
        bare = []
        for unit, text in enumerate(texts, 1):
            lines = text.split("\n")
            for number, line in enumerate(lines, 1):
                if found := _MARK.search(line):
                    marks = [mark.split(":") for mark in found.group(1).split(",")]
                    old[unit, number] = frozenset((int(u), int(n)) for u, n in marks)
            bare.append("\n".join(_MARK.sub("", line) for line in lines))
        return cls(tuple(bare), old)

    def stands_for(self, unit: int, first: int, last: int) -> frozenset[Old]:
        """The old statements that begin or end in these lines: a mark stands at the end of its statement."""
        found = frozenset[Old]()
        for number in range(first, last + 1):
            found |= self.old.get((unit, number), frozenset())
        below = last
        while not found and below < last + 40:  # the first lines of a longer statement
            below += 1
            found = self.old.get((unit, below), frozenset())
        return found
