"""From a recorded op to the person's own source: the exact span, the statement, the text."""

from __future__ import annotations

import ast
from functools import lru_cache
from types import CodeType

from gradcheck.fronts.tape import Op
from gradcheck.program.location import Location
from gradcheck.program.source import SourceMap, SourceUnit


@lru_cache(maxsize=4096)
def _positions(code: CodeType) -> tuple[tuple[int | None, int | None, int | None, int | None], ...]:
    return tuple(code.co_positions())


class Places:
    """Answers questions about where ops stand in the source."""

    def __init__(self, sources: SourceMap) -> None:
        self._sources = sources
        self._statements: dict[str, dict[int, ast.stmt]] = {}
        self._all: dict[str, list[ast.stmt]] = {}

    def span(self, code: CodeType, lasti: int) -> tuple[int, int, int, int]:
        """(line, end line, column, end column) of the expression an instruction belongs to; columns
        from 0, in bytes of UTF-8 as Python counts them."""
        positions = _positions(code)
        index = lasti // 2
        line, end_line, column, end_column = positions[index] if 0 <= index < len(positions) else (None,) * 4
        first = line or code.co_firstlineno
        return first, end_line or first, column or 0, end_column or 0

    def unit(self, op: Op) -> SourceUnit | None:
        return self.unit_of(op.code)

    def unit_of(self, code: CodeType) -> SourceUnit | None:
        return self._sources.unit(code.co_filename)

    def statement_at(self, code: CodeType, line: int) -> ast.stmt | None:
        """The innermost statement on a line."""
        return self._table(code.co_filename).get(line)

    def location(self, op: Op) -> Location:
        line, end_line, column, end_column = self.span(op.code, op.lasti)
        return self._sources.location(op.code.co_filename, line, end_line, column, end_column)

    def line_location(self, code: CodeType, line: int) -> Location:
        """The whole of one line, without its indentation."""
        unit = self._sources.unit(code.co_filename)
        text = unit.line_text(line) if unit else ""
        indentation = text[: len(text) - len(text.lstrip())]
        return self._sources.location(
            code.co_filename, line, line, len(indentation.encode()), len(text.rstrip().encode())
        )

    def text(self, op: Op) -> str:
        """The source of the expression that made the op, on one line."""
        line, end_line, column, end_column = self.span(op.code, op.lasti)
        unit = self._sources.unit(op.code.co_filename)
        if unit is None:
            return op.name
        lines = [unit.line_text(n).encode() for n in range(line, end_line + 1)]
        if not lines:
            return op.name
        if len(lines) == 1:
            found = lines[0][column:end_column]
        else:
            found = b" ".join(
                [lines[0][column:], *[part.strip() for part in lines[1:-1]], lines[-1][:end_column].strip()]
            )
        return found.decode(errors="replace").strip() or op.name

    def statements(self, filename: str) -> list[ast.stmt]:
        """All statements of a file or cell, in no particular order."""
        self._table(filename)
        return self._all[filename]

    def statement(self, op: Op) -> ast.stmt | None:
        """The innermost statement that holds the op's line."""
        return self._table(op.code.co_filename).get(self.span(op.code, op.lasti)[0])

    def _table(self, filename: str) -> dict[int, ast.stmt]:
        table = self._statements.get(filename)
        if table is not None:
            return table
        table = self._statements[filename] = {}
        unit = self._sources.unit(filename)
        try:
            tree = ast.parse(unit.code) if unit else ast.Module([], [])
        except SyntaxError:
            tree = ast.Module([], [])
        self._all[filename] = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
        for node in self._all[filename]:
            for n in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                held = table.get(n)
                if held is None or _length(node) <= _length(held):
                    table[n] = node
        return table


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno
