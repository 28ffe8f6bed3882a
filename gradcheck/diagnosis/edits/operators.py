"""Another operator, swapped operands, an operand too many, a sign too many or too few."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, binary, constant_of, edit
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import Path, exchanged, expressions, parent_of

_OTHERS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add, ast.Mult),
    ast.Mult: (ast.Div, ast.MatMult, ast.Add),
    ast.Div: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.Pow: (ast.Mult,),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.Lt, ast.GtE, ast.LtE),
    ast.Lt: (ast.Gt, ast.LtE, ast.GtE),
    ast.GtE: (ast.Gt, ast.LtE, ast.Lt),
    ast.LtE: (ast.Lt, ast.GtE, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}


def edits(tree: Tree, context: Context) -> Iterator[Edit]:
    for path, node in expressions(tree):
        if isinstance(node, ast.BinOp):
            yield from _binary(tree, path, node)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert, ast.Not)):
            if constant_of(node) is None:
                yield edit(1.0, tree, path, node.operand)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            for other in _COMPARISONS.get(type(node.ops[0]), ()):
                yield edit(1.0, tree, path, ast.Compare(node.left, [other()], node.comparators))
        if not path and isinstance(node, ast.expr):
            yield edit(1.1, tree, path, ast.UnaryOp(ast.USub(), node))
        elif (
            _is_factor_or_term(tree, path) and constant_of(node) is None and not isinstance(node, ast.UnaryOp)
        ):
            yield edit(1.5, tree, path, ast.UnaryOp(ast.USub(), node))
    if isinstance(tree, ast.AugAssign):
        yield from _augmented(tree)
    elif (
        isinstance(tree, ast.Assign) and len(tree.targets) == 1 and isinstance(tree.targets[0], ast.Subscript)
    ):
        for operator in (ast.Add(), ast.Sub(), ast.Mult()):
            yield Edit(1.0, ast.AugAssign(tree.targets[0], operator, tree.value))


def _binary(tree: Tree, path: Path, node: ast.BinOp) -> Iterator[Edit]:
    for other in _OTHERS.get(type(node.op), ()):
        if other in (ast.Mult, ast.Div) and 1 in (constant_of(node.left), constant_of(node.right)):
            continue  # leaving out the 1 is another edit, and says the same
        yield edit(
            1.0 if other is not ast.MatMult else 1.6, tree, path, binary(node.left, other(), node.right)
        )
    if not isinstance(node.op, (ast.Add, ast.Mult)):
        yield edit(1.3, tree, path, binary(node.right, node.op, node.left))
    if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult, ast.Pow)):
        yield edit(1.3 if constant_of(node.right) is None else 1.0, tree, path, node.left)
        if not isinstance(node.op, (ast.Div, ast.Pow)):
            yield edit(1.4 if constant_of(node.left) is None else 1.0, tree, path, node.right)
    if isinstance(node.op, ast.Sub):
        yield edit(1.5, tree, path, ast.UnaryOp(ast.USub(), node.right))


def _augmented(tree: ast.AugAssign) -> Iterator[Edit]:
    """`d += x` for `d = x` and the other ways round."""
    yield Edit(1.0, ast.Assign([tree.target], tree.value))
    for other in (ast.Add, ast.Sub, ast.Mult):
        if not isinstance(tree.op, other):
            changed = exchanged(tree, (("op", None),), other())
            assert isinstance(changed, ast.stmt)
            yield Edit(1.0, changed)


def _is_factor_or_term(tree: Tree, path: Path) -> bool:
    """Whether the node is an operand of a sum or product."""
    parent = parent_of(tree, path)
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Add, ast.Sub, ast.Mult))
