"""From a recorded op to the person's own source: the exact span, the statement, the text."""

import ast
from functools import lru_cache
from types import CodeType

from gradcheck.fronts.tape import Op
from gradcheck.program.location import Location
from gradcheck.program.reading.tree import node_at
from gradcheck.program.source import SourceMap, SourceUnit


@lru_cache(maxsize=4096)
def _positions(code: CodeType) -> tuple[tuple[int | None, int | None, int | None, int | None], ...]:
    return tuple(code.co_positions())


class Places:
    """Answers questions about where ops are in the source."""

    def __init__(self, sources: SourceMap) -> None:
        self._sources = sources

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
        unit = self.unit_of(code)
        return unit.tree.statement_at(line) if unit is not None else None

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
        unit = self._sources.unit(filename)
        return unit.tree.statements if unit is not None else []

    def statement(self, op: Op) -> ast.stmt | None:
        """The innermost statement that holds the op's line."""
        return self.statement_at(op.code, self.span(op.code, op.lasti)[0])

    def node(self, op: Op) -> ast.expr | ast.AugAssign | None:
        """The expression that made the op."""
        statement = self.statement(op)
        return node_at(statement, self.span(op.code, op.lasti)) if statement is not None else None
