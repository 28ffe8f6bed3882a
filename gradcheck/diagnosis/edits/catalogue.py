"""All single edits of a tree, the cheapest first."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from gradcheck.diagnosis.edits import (
    calls,
    constants,
    everywhere,
    factors,
    names,
    operators,
    substitutions,
    templates,
    wraps,
)
from gradcheck.diagnosis.edits.context import Context, Edit
from gradcheck.diagnosis.evaluation import Tree

_Family = Callable[[Tree, Context], Iterator[Edit]]

EVERY: tuple[_Family, ...] = (
    constants.edits, operators.edits, names.edits, calls.edits, wraps.edits, templates.edits, factors.edits,
    substitutions.edits, everywhere.edits,
)  # fmt: skip
SLIPS: tuple[_Family, ...] = (constants.edits, operators.edits, calls.edits, names.edits, templates.edits)


def single_edits(tree: Tree, context: Context, families: tuple[_Family, ...] = EVERY) -> list[Edit]:
    """The edits of a piece of source; what a statement writes to stays the same."""
    target = _written(tree)
    found = [edit for family in families for edit in family(tree, context) if _written(edit.tree) == target]
    return sorted(found, key=lambda edit: edit.cost)


def _written(tree: Tree) -> str:
    """The name a statement changes: `dW` for `dW[i] += ...` and for `dW.index_add_(...)`."""
    target: ast.AST = tree
    if isinstance(tree, ast.Module):
        target = tree.body[0]
    if isinstance(target, ast.Assign):
        target = target.targets[0]
    elif isinstance(target, ast.AugAssign):
        target = target.target
    elif isinstance(target, ast.Expr) and isinstance(target.value, ast.Call):
        function = target.value.func
        target = function.value if isinstance(function, ast.Attribute) else function
    else:
        return ""
    while isinstance(target, ast.Subscript):
        target = target.value
    return ast.unparse(target)
