"""The catalogue of mistakes. Where two predict the same numbers, the one that comes first here is reported."""

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.mistakes import (
    another_value,
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
from gradcheck.diagnosis.mistakes.writing import Context, Edit, constant_of, spots_of
from gradcheck.ops import PERMUTE, operation_called

CATALOGUE: tuple[Mistake, ...] = (
    constant.MISTAKE, upstream.ANOTHER, softmax.MISTAKE, repeated_index.MISTAKE, path.MISTAKE,
    transposed.MISTAKE, operator.MISTAKE, factor.MISTAKE, epsilon.MISTAKE, wrong_name.READ_HERE,
    another_value.MISTAKE, derivative.MISTAKE, wrong_name.ANYWHERE, upstream.OLDER,
    upstream.SKIPPED, axis.MISTAKE, upstream.UNUSED, fused_factor.MISTAKE, call.MISTAKE,
    textbook.MISTAKE,
)  # fmt: skip


def single_edits(tree: Tree, context: Context) -> list[Edit]:
    """All single edits of a piece of source, the cheapest first; what a statement writes to stays the same."""
    target = _written_to(tree)
    spots = list(spots_of(tree, context))
    written = {id(node) for node in ast.walk(tree)}
    found = [
        edit
        for mistake in CATALOGUE
        if mistake.edits is not None
        for spot in spots
        for edit in mistake.edits(spot)
        if _written_to(edit.tree) == target and not any(map(does_nothing, _new_nodes(edit.tree, written)))
    ]
    return sorted(found, key=lambda edit: edit.cost)


def _new_nodes(tree: ast.AST, written: set[int]) -> Iterator[ast.AST]:
    """An edit shares what it does not change: below a node that was there before there is no new one."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if id(node) not in written:
            yield node
            pending.extend(ast.iter_child_nodes(node))


def does_nothing(node: ast.AST) -> bool:
    """`1 * x`, `x + 0`, `x.transpose(1, 1)`: nobody means that. What leaves it out is another edit."""
    if isinstance(node, ast.BinOp):
        left, right = constant_of(node.left), constant_of(node.right)
        if isinstance(node.op, (ast.Mult, ast.Div, ast.Pow)):
            return right == 1 or 0 in (left, right) or (left == 1 and isinstance(node.op, ast.Mult))
        return isinstance(node.op, (ast.Add, ast.Sub)) and 0 in (left, right)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    axes = [constant_of(argument) for argument in node.args[-2:]]
    return (
        operation_called(node.func.attr) is PERMUTE
        and len(axes) == 2
        and None not in axes
        and axes[0] == axes[1]
    )


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
