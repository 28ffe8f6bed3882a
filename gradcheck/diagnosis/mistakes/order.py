"""Lines in the wrong order: where a line could be instead, the text of that edit, and the sentence."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradcheck.diagnosis.sites import Site
from gradcheck.diagnosis.syntax import TextChange
from gradcheck.program.source import SourceUnit

_FURTHEST = 12  # lines that a line is moved past
_STAYING = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Return, ast.Import, ast.ImportFrom,
    ast.Global,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Position:
    """Before (`up`) or after `past`, the last of the statements that are passed."""

    past: ast.stmt
    up: bool
    lines: int


def positions_of(site: Site, statements: Sequence[ast.stmt]) -> Iterator[Position]:
    """Where the line could stand as well: nothing that it is moved past may know of what it computes."""
    block = _block_of(site.statement, statements)
    if block is None or not _is_alone(site.statement, site.unit):
        return
    assert isinstance(site.statement, ast.Assign)
    own = _base(site.statement.targets[0])
    number = next(i for i, statement in enumerate(block) if statement is site.statement)
    for up, passed in ((True, block[:number][::-1]), (False, block[number + 1 :])):
        for count, statement in enumerate(passed[:_FURTHEST], start=1):
            mentions = own is None or any(ast.dump(node) == own for node in map(_loaded, ast.walk(statement)))
            if mentions or isinstance(statement, _STAYING) or not _is_alone(statement, site.unit):
                break
            yield Position(statement, up, count)


def _block_of(statement: ast.stmt, statements: Sequence[ast.stmt]) -> list[ast.stmt] | None:
    """The block that it is in."""
    inner: set[int] = set()
    for other in statements:
        for _, held in ast.iter_fields(other):
            if isinstance(held, list) and held and isinstance(held[0], ast.stmt):
                if any(item is statement for item in held):
                    return held
                inner.update(id(item) for item in held)
        for handler in getattr(other, "handlers", ()):
            inner.update(id(item) for item in handler.body)
    outermost = [other for other in statements if id(other) not in inner]
    outermost.sort(key=lambda other: other.lineno)
    return outermost if any(other is statement for other in outermost) else None


def _is_alone(statement: ast.stmt, unit: SourceUnit) -> bool:
    """Whether its lines hold no other statement."""
    first = unit.line_text(statement.lineno).encode()[: statement.col_offset]
    last = unit.line_text(statement.end_lineno or statement.lineno).encode()[statement.end_col_offset or 0 :]
    return not first.strip() and last.strip()[:1] in (b"", b"#")


def _base(target: ast.expr) -> str | None:
    """What a statement changes: `dW` for `dW[i]`, `self.dW` for `self.dW`."""
    while isinstance(target, ast.Subscript):
        target = target.value
    return ast.dump(_loaded(target)) if isinstance(target, (ast.Name, ast.Attribute)) else None


def _loaded(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.Name):
        return ast.Name(node.id, ast.Load())
    if isinstance(node, ast.Attribute):
        return ast.Attribute(node.value, node.attr, ast.Load())
    return node


def as_text(site: Site, position: Position) -> TextChange:
    """The lines of both in the other order; whole lines, so that comments stay where they belong."""
    statement, past = site.statement, position.past
    lines = site.unit.text.split("\n")
    first, last = (past, statement) if position.up else (statement, past)
    start, end = first.lineno, last.end_lineno or last.lineno
    if position.up:
        own, others = lines[statement.lineno - 1 : end], lines[start - 1 : statement.lineno - 1]
        text = [*own, *others]
    else:
        own_end = statement.end_lineno or statement.lineno
        own, others = lines[start - 1 : own_end], lines[own_end:end]
        text = [*others, *own]
    return TextChange((start, end, 0, len(lines[end - 1].encode())), "\n".join(text))


def advice(position: Position) -> str:
    side, line = ("above", position.past.lineno) if position.up else ("below", position.past.end_lineno)
    return f"move this line {side} line {line}"
