"""A factor or a term that is missing: 1/n, 2, gamma, the derivative of an activation, a second branch."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, binary, broadcasts, edit, parsed
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import Path, expressions

_MOST = 24


def edits(tree: Tree, context: Context) -> Iterator[Edit]:
    for path, node in _places(tree):
        top = 0.0 if not path else 0.4
        for text, size in context.size_texts:
            yield edit(2.0 + top, tree, path, binary(node, ast.Div(), parsed(text)))
            yield edit(2.2 + top, tree, path, binary(node, ast.Mult(), parsed(text)))
            if size > 1:
                yield edit(2.6 + top, tree, path, binary(node, ast.Div(), parsed(f"({text} - 1)")))
                ratio = parsed(f"{text} / ({text} - 1)")
                yield edit(3.0 + top, tree, path, binary(ratio, ast.Mult(), node))
                yield edit(3.0 + top, tree, path, binary(parsed(f"({text} - 1) / {text}"), ast.Mult(), node))
        yield edit(2.0 + top, tree, path, binary(ast.Constant(2), ast.Mult(), node))
        yield edit(2.1 + top, tree, path, binary(node, ast.Div(), ast.Constant(2)))
        for text, value in context.tensors[: 3 * _MOST]:
            if not broadcasts(tuple(value.shape), context.shape):
                continue
            yield edit(2.2 + top, tree, path, binary(node, ast.Mult(), parsed(text)))
            if value in context.forward:
                yield edit(2.5 + top, tree, path, binary(node, ast.Div(), parsed(text)))
                if tuple(value.shape) == context.shape:
                    for factor in ("1 - {}**2", "{} * (1 - {})", "{} > 0", "2 * {}"):
                        yield edit(
                            2.9 + top, tree, path, binary(node, ast.Mult(), parsed(factor.format(text, text)))
                        )
    if isinstance(tree, ast.expr):
        yield from _terms(tree, context)


def _terms(tree: ast.expr, context: Context) -> Iterator[Edit]:
    for text, value in context.tensors[: 3 * _MOST]:
        if tuple(value.shape) != context.shape:
            continue
        cost = 2.1 if value not in context.forward else 2.6
        yield edit(cost, tree, (), binary(tree, ast.Add(), parsed(text)))
        yield edit(cost + 0.1, tree, (), binary(tree, ast.Sub(), parsed(text)))


def _places(tree: Tree) -> Iterator[tuple[Path, ast.expr]]:
    """The whole, and every term of a sum in it."""
    if isinstance(tree, ast.expr):
        yield (), tree
    else:
        for path, node in expressions(tree):
            if path == (("value", None),):
                yield path, node
    for path, node in expressions(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            yield (*path, ("left", None)), node.left
            yield (*path, ("right", None)), node.right
