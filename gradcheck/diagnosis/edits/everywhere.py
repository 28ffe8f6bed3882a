"""The same change wherever a name stands: the upstream gradient without gamma in every term of a formula."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, binary, broadcasts, is_loaded, parsed
from gradcheck.diagnosis.edits.names import others
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import Path, exchanged, expressions
from gradcheck.fronts.tape import Value

_MOST = 40


def edits(tree: Tree, context: Context) -> Iterator[Edit]:
    places: dict[str, list[Path]] = defaultdict(list)
    nodes: dict[str, ast.expr] = {}
    for path, node in expressions(tree):
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and is_loaded(node):
            text = ast.unparse(node)
            if isinstance(context.resolve(node), Value):
                places[text].append(path)
                nodes[text] = node
    for text, paths in places.items():
        held = context.resolve(nodes[text])
        if len(paths) < 2 or not isinstance(held, Value):
            continue
        for cost, other in others(text, held, context):
            yield Edit(cost + 0.3, _everywhere(tree, paths, parsed(other)))
        for other, value in context.tensors[:_MOST]:
            if value is not held and broadcasts(tuple(value.shape), tuple(held.shape)):
                product = binary(nodes[text], ast.Mult(), parsed(other))
                yield Edit(2.6 if value in context.forward else 3.0, _everywhere(tree, paths, product))


def _everywhere(tree: Tree, paths: list[Path], new: ast.expr) -> Tree:
    changed: ast.AST = tree
    for path in paths:
        changed = exchanged(changed, path, new)
    assert isinstance(changed, (ast.expr, ast.stmt, ast.Module))
    return changed
