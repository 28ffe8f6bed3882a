"""A constant factor that is missing, written as a person would write it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, binary, edit, parsed
from gradcheck.diagnosis.evaluation import Tree

_CLOSE = 1e-9


def scaled_by(tree: Tree, factor: float, context: Context) -> Iterator[Edit]:
    """The whole multiplied with `factor`, where that is a number that comes of signs, twos and the sizes in play. For
    a statement that changes a tensor in place, one more such statement after it."""
    if isinstance(tree, ast.expr):
        for scaled in scaled_expressions(tree, factor, context):
            yield Edit(scaled.cost, scaled.tree)
    elif isinstance(tree, (ast.AugAssign, ast.Assign)):
        if isinstance(tree, ast.AugAssign) and isinstance(tree.op, (ast.Add, ast.Sub)):
            # In a loop that adds up, every term has to be scaled.
            for scaled in scaled_expressions(tree.value, factor, context):
                yield edit(scaled.cost + 0.5, tree, (("value", None),), scaled.tree)
        target = tree.target if isinstance(tree, ast.AugAssign) else tree.targets[0]
        base = target.value if isinstance(target, ast.Subscript) else target
        if not isinstance(base, ast.Name):
            return
        stand_in = ast.Name(base.id, ast.Load())
        for scaled in scaled_expressions(stand_in, factor, context):
            after = _in_place(scaled.tree, stand_in)
            if after is not None:
                yield Edit(scaled.cost + 0.3, ast.Module([tree, after], []))


def _in_place(product: Tree, of: ast.Name) -> ast.AugAssign | None:
    """`d /= n` for `d / n`."""
    if not isinstance(product, ast.BinOp):
        return None
    target = ast.Name(of.id, ast.Store())
    if product.left is of:
        return ast.AugAssign(target, product.op, product.right)
    if product.right is of and isinstance(product.op, ast.Mult):
        return ast.AugAssign(target, product.op, product.left)
    return None


def scaled_expressions(tree: ast.expr, factor: float, context: Context) -> Iterator[Edit]:
    negated = tree.operand if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub) else None
    if _equal(factor, -1):
        yield Edit(0.9, negated or ast.UnaryOp(ast.USub(), tree))
        return
    for sign in (1, -1):
        body: ast.expr = tree if sign == 1 else negated or ast.UnaryOp(ast.USub(), tree)
        wanted = sign * factor
        if wanted <= 0:
            continue
        for whole in (2, 3, 4):
            if _equal(wanted, whole):
                yield Edit(1.0, _times(ast.Constant(whole), body))
            if _equal(wanted, 1 / whole):
                yield Edit(1.0, binary(body, ast.Div(), ast.Constant(whole)))
        for text, size in context.size_texts:
            yield from _by_size(body, wanted, text, size)
        for literal in context.literals:
            if _equal(wanted, literal):
                yield Edit(1.1, _times(ast.Constant(literal), body))
            if literal and _equal(wanted, 1 / literal):
                yield Edit(1.2, binary(body, ast.Div(), ast.Constant(literal)))
        for text, number in context.numbers:
            if number > 0 and number != 1 and text.isidentifier():
                cost = 0.95 if text in context.parameters else 1.05 if type(number) is float else 1.3
                if _equal(wanted, number):
                    yield Edit(cost, binary(body, ast.Mult(), parsed(text)))
                if _equal(wanted, 1 / number):
                    yield Edit(cost, binary(body, ast.Div(), parsed(text)))


def _times(number: ast.expr, body: ast.expr) -> ast.expr:
    """`2 * a / n` for `2 * (a / n)`."""
    if isinstance(body, ast.BinOp) and isinstance(body.op, (ast.Mult, ast.Div)):
        return binary(_times(number, body.left), body.op, body.right)
    return binary(number, ast.Mult(), body)


def _by_size(body: ast.expr, wanted: float, text: str, size: int) -> Iterator[Edit]:
    if _equal(wanted, 1 / size):
        yield Edit(1.0, binary(body, ast.Div(), parsed(text)))
    if _equal(wanted, size):
        yield Edit(1.0, binary(body, ast.Mult(), parsed(text)))
    if _equal(wanted, 2 / size):
        yield Edit(1.2, binary(_times(ast.Constant(2), body), ast.Div(), parsed(text)))
    if size < 2:
        return
    if _equal(wanted, size / (size - 1)):
        yield Edit(1.5, _times(parsed(f"{text} / ({text} - 1)"), body))
    if _equal(wanted, (size - 1) / size):
        yield Edit(1.5, _times(parsed(f"({text} - 1) / {text}"), body))
    if _equal(wanted, 1 / (size - 1)):
        yield Edit(1.3, binary(body, ast.Div(), parsed(f"({text} - 1)")))


def _equal(left: float, right: float) -> bool:
    return abs(left - right) <= _CLOSE * abs(right)
