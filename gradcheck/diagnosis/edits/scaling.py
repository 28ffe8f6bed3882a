"""A constant factor that is missing, written as a person would write it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, Tree, binary, parsed

_CLOSE = 1e-9


def scaled_by(tree: Tree, factor: float, context: Context) -> Iterator[Edit]:
    """The whole multiplied with `factor`, where that is a number that comes of signs, twos and the sizes in play."""
    if not isinstance(tree, ast.expr):
        return
    if _equal(factor, -1):
        yield Edit(0.9, ast.UnaryOp(ast.USub(), tree))
        return
    for sign in (1, -1):
        body: ast.expr = tree if sign == 1 else ast.UnaryOp(ast.USub(), tree)
        wanted = sign * factor
        if wanted <= 0:
            continue
        for whole in (2, 3, 4):
            if _equal(wanted, whole):
                yield Edit(1.0, binary(ast.Constant(whole), ast.Mult(), body))
            if _equal(wanted, 1 / whole):
                yield Edit(1.0, binary(body, ast.Div(), ast.Constant(whole)))
        for text, size in context.size_texts:
            yield from _by_size(body, wanted, text, size)
        for text, number in context.numbers:
            if type(number) is float and number not in (0.0, 1.0) and text.isidentifier():
                if _equal(wanted, number):
                    yield Edit(1.3, binary(body, ast.Mult(), parsed(text)))
                if _equal(wanted, 1 / number):
                    yield Edit(1.3, binary(body, ast.Div(), parsed(text)))


def _by_size(body: ast.expr, wanted: float, text: str, size: int) -> Iterator[Edit]:
    if _equal(wanted, 1 / size):
        yield Edit(1.0, binary(body, ast.Div(), parsed(text)))
    if _equal(wanted, size):
        yield Edit(1.0, binary(body, ast.Mult(), parsed(text)))
    if _equal(wanted, 2 / size):
        yield Edit(1.2, binary(binary(ast.Constant(2), ast.Mult(), body), ast.Div(), parsed(text)))
    if size < 2:
        return
    if _equal(wanted, size / (size - 1)):
        yield Edit(1.5, binary(parsed(f"{text} / ({text} - 1)"), ast.Mult(), body))
    if _equal(wanted, (size - 1) / size):
        yield Edit(1.5, binary(parsed(f"({text} - 1) / {text}"), ast.Mult(), body))
    if _equal(wanted, 1 / (size - 1)):
        yield Edit(1.3, binary(body, ast.Div(), parsed(f"({text} - 1)")))


def _equal(left: float, right: float) -> bool:
    return abs(left - right) <= _CLOSE * abs(right)
