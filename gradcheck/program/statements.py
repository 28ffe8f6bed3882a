"""The lines that the statements of a piece of source take up."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator


class StatementLines:
    """Of one piece of source; `parses` tells whether it is Python at all, and if it is not, nothing is known."""

    def __init__(self, code: str) -> None:
        tree = _parse(code)
        nodes = list(ast.walk(tree)) if tree else []  # from the outside to the inside
        self.parses = tree is not None
        self._statements = [node for node in nodes if isinstance(node, ast.stmt)]
        self._blocks = [_lines(block) for node in nodes for block in _blocks(node)]

    def edges(self, line: int) -> set[int]:
        """Where a comment on the innermost statement that holds `line` may stand: its first line and, if no other
        statement stands within it, its last."""
        innermost = self._innermost(line)
        if innermost is None:
            return set()
        lines = _lines([innermost])
        return {lines[0]} if _is_compound(innermost) else {lines[0], lines[-1]}

    def lines(self, line: int) -> set[int]:
        """All lines of the innermost statement that holds `line`; none if other statements stand within it."""
        innermost = self._innermost(line)
        return set() if innermost is None or _is_compound(innermost) else set(_lines([innermost]))

    def block(self, line: int) -> range | None:
        """The lines of the innermost block (a branch, a body of a loop or function) around `line`; None if it stands
        in none, and so belongs to all of the source."""
        return min((block for block in self._blocks if line in block), key=len, default=None)

    def _innermost(self, line: int) -> ast.stmt | None:
        holding = (s for s in self._statements if line in _lines([s]))
        return min(holding, key=lambda s: len(_lines([s])), default=None)


def _is_compound(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.stmt) for node in ast.walk(statement) if node is not statement)


def _parse(code: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they were shown when it was compiled
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    if isinstance(node, ast.Module):
        return
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block:  # the body of a lambda is an expression
            yield block


def _lines(block: list[ast.stmt]) -> range:
    return range(block[0].lineno, (block[-1].end_lineno or block[-1].lineno) + 1)
