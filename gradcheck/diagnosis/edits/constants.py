"""Another number: a sign, an exponent, an axis, n for n - 1."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, binary, constant_of, edit, number, parsed
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import Path, expressions, parent_of

_EXPONENTS = (2, -1, 0.5, -0.5, -1.5, 3, -2, 1.5)


def edits(tree: Tree, context: Context) -> Iterator[Edit]:
    signed: set[int] = set()
    for path, node in expressions(tree):
        value = constant_of(node)
        if value is not None and id(node) not in signed:
            signed.update(id(inner) for inner in ast.walk(node))
            is_exponent = _is_exponent(tree, path)
            for cost, other in _others(value, is_exponent):
                if other == -value and _is_added(tree, path):
                    continue  # `-=` for `+=` says it better
                if (other == 1 and _is_operand(tree, path, ast.Mult)) or (
                    other == 0 and _is_operand(tree, path, ast.Add, ast.Sub)
                ):
                    continue  # leaving it out is another edit, and says the same
                yield edit(cost, tree, path, number(other))
            for text, size in context.size_texts:
                if not is_exponent and size != value:
                    yield edit(1.8, tree, path, parsed(text))
        elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and _is_count(context.resolve(node)):
            yield edit(1.1, tree, path, binary(node, ast.Sub(), ast.Constant(1)))
            yield edit(1.5, tree, path, binary(node, ast.Add(), ast.Constant(1)))
            yield edit(1.9, tree, path, ast.Constant(2))
        elif (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, (ast.Sub, ast.Add))
            and constant_of(node.right) == 1
        ):
            yield edit(1.1, tree, path, node.left)  # n for n - 1


def _others(value: float, is_exponent: bool) -> Iterator[tuple[float, float]]:
    seen = {value}
    candidates: list[tuple[float, float]] = [(0.8, -value), (1.0, value + 1), (1.0, value - 1)]
    if is_exponent:
        candidates += [(1.0, exponent) for exponent in _EXPONENTS]
    candidates += [(1.1, 2 * value), (1.1, value / 2), (1.2, 1), (1.2, 0), (1.2, 2), (1.3, 0.5)]
    if value not in (0, 1, -1):
        candidates += [(1.3, 1 / value)]
    for cost, other in candidates:
        tidy = int(other) if float(other).is_integer() and abs(other) < 1e9 else other
        if tidy not in seen:
            seen.add(tidy)
            yield cost, tidy


def _is_exponent(tree: Tree, path: Path) -> bool:
    parent = parent_of(tree, path)
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow) and path[-1][0] == "right"


def _is_added(tree: Tree, path: Path) -> bool:
    """Whether the number is all that `+=` or `-=` adds."""
    return (
        isinstance(tree, ast.AugAssign)
        and isinstance(tree.op, (ast.Add, ast.Sub))
        and path == (("value", None),)
    )


def _is_operand(tree: Tree, path: Path, *operators: type[ast.operator]) -> bool:
    parent = parent_of(tree, path)
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, operators)


def _is_count(held: object) -> bool:
    return type(held) is int and held > 1
