"""The catalogue of mistakes. Where two predict the same numbers, the one that comes first here is reported."""

from __future__ import annotations

import ast

from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.mistakes import (
    axis,
    call,
    constant,
    derivative,
    epsilon,
    factor,
    fused_factor,
    operator,
    path,
    repeated_index,
    softmax,
    textbook,
    transposed,
    upstream,
    wrong_name,
)
from gradcheck.diagnosis.mistakes.mistake import Mistake
from gradcheck.diagnosis.mistakes.writing import Context, Edit, spots_of

CATALOGUE: tuple[Mistake, ...] = (
    constant.MISTAKE,
    upstream.ANOTHER,
    softmax.MISTAKE,
    repeated_index.MISTAKE,
    path.MISTAKE,
    transposed.MISTAKE,
    operator.MISTAKE,
    factor.MISTAKE,
    epsilon.MISTAKE,
    wrong_name.READ_HERE,
    derivative.MISTAKE,
    wrong_name.ANYWHERE,
    upstream.OLDER,
    upstream.SKIPPED,
    axis.MISTAKE,
    upstream.UNUSED,
    fused_factor.MISTAKE,
    call.MISTAKE,
    textbook.MISTAKE,
)


def single_edits(tree: Tree, context: Context) -> list[Edit]:
    """All single edits of a piece of source, the cheapest first; what a statement writes to stays the same."""
    target = _written_to(tree)
    spots = list(spots_of(tree, context))
    found = [
        edit
        for mistake in CATALOGUE
        if mistake.edits is not None
        for spot in spots
        for edit in mistake.edits(spot)
        if _written_to(edit.tree) == target
    ]
    return sorted(found, key=lambda edit: edit.cost)


def _written_to(tree: Tree) -> str:
    """The name a statement changes: `dW` for `dW[i] += ...` and for `dW.index_add_(...)`."""
    target: ast.AST = tree.body[0] if isinstance(tree, ast.Module) else tree
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
