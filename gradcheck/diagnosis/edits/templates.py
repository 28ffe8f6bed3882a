"""Slips that change several places at once: eps inside or outside the root, a sum before a product, repeated indices."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, binary, edit
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import Path, expressions
from gradcheck.fronts.tape import Value


def edits(tree: Tree, context: Context) -> Iterator[Edit]:
    for path, node in expressions(tree):
        yield from _eps(tree, path, node)
        yield from _sum_and_product(tree, path, node)
    yield from _reduced(tree, context)
    yield from _accumulated(tree, context)


def _eps(tree: Tree, path: Path, node: ast.expr) -> Iterator[Edit]:
    """`(v + eps)**p` and `v**p + eps`; `sqrt(v + eps)` and `sqrt(v) + eps`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and isinstance(node.left, ast.BinOp):
        inner = node.left
        if isinstance(inner.op, ast.Add):
            outside = binary(binary(inner.left, ast.Pow(), node.right), ast.Add(), inner.right)
            yield edit(1.6, tree, path, outside)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        powered = node.left
        if isinstance(powered, ast.BinOp) and isinstance(powered.op, ast.Pow):
            inside = binary(binary(powered.left, ast.Add(), node.right), ast.Pow(), powered.right)
            yield edit(1.6, tree, path, inside)
        if _is_root(powered):
            assert isinstance(powered, ast.Call)
            yield edit(1.6, tree, path, _of(powered, lambda x: binary(x, ast.Add(), node.right)))
    if _is_root(node):
        assert isinstance(node, ast.Call)
        argument = _argument(node)
        if isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Add):
            taken, eps = argument.left, argument.right
            yield edit(1.6, tree, path, binary(_of(node, lambda x: taken), ast.Add(), eps))


def _sum_and_product(tree: Tree, path: Path, node: ast.expr) -> Iterator[Edit]:
    """`(a * b).sum(0)` for `a.sum(0) * b.sum(0)` and for `a * b.sum(0)`, and back."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = _summed(node.left), _summed(node.right)
        if left is not None and right is not None:
            yield edit(1.8, tree, path, _sum_of(binary(left, ast.Mult(), right), node.left))
        if right is not None:
            yield edit(1.8, tree, path, _sum_of(binary(node.left, ast.Mult(), right), node.right))
        if left is not None:
            yield edit(1.8, tree, path, _sum_of(binary(left, ast.Mult(), node.right), node.left))
    inner = _summed(node)
    if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Mult):
        yield edit(1.8, tree, path, binary(inner.left, ast.Mult(), _sum_of(inner.right, node)))
        yield edit(1.8, tree, path, binary(_sum_of(inner.left, node), ast.Mult(), inner.right))
        yield edit(2.0, tree, path, binary(_sum_of(inner.left, node), ast.Mult(), _sum_of(inner.right, node)))


def _reduced(tree: Tree, context: Context) -> Iterator[Edit]:
    """The whole summed over an axis, or brought into the shape of the value."""
    if not isinstance(tree, ast.expr):
        return
    for axis in (0, 1, -1):
        yield Edit(1.4, _method(tree, "sum", [ast.Constant(axis)]))
        yield Edit(1.6, _method(tree, "sum", [ast.Constant(axis)], keepdim=True))
    axes = ast.Tuple([ast.Constant(0), ast.Constant(1)], ast.Load())
    yield Edit(1.7, _method(tree, "sum", [axes]))
    yield Edit(1.7, _method(tree, "sum", []))
    yield Edit(1.7, ast.Attribute(tree, "T", ast.Load()))
    sizes: list[ast.expr] = [ast.Constant(size) for size in context.shape]
    yield Edit(2.2, _method(tree, "reshape", sizes))


def _accumulated(tree: Tree, context: Context) -> Iterator[Edit]:
    """`dC[ix] += g` counts a repeated index once; `index_add_` and `index_put_` count it as often as it occurs."""
    if isinstance(tree, ast.Assign) and len(tree.targets) == 1:
        target, value = tree.targets[0], tree.value
    elif isinstance(tree, ast.AugAssign) and isinstance(tree.op, ast.Add):
        target, value = tree.target, tree.value
    else:
        return
    if not isinstance(target, ast.Subscript) or isinstance(target.slice, (ast.Slice, ast.Constant)):
        return
    index = target.slice
    if _is_vector(index, context):
        yield Edit(2.3, ast.Expr(_call_on(target.value, "index_add_", [ast.Constant(0), index, value])))
    indices = index if isinstance(index, ast.Tuple) else ast.Tuple([index], ast.Load())
    put = _call_on(target.value, "index_put_", [indices, value])
    put.keywords = [ast.keyword("accumulate", ast.Constant(True))]
    yield Edit(2.4, ast.Expr(put))


def _is_vector(index: ast.expr, context: Context) -> bool:
    held = context.resolve(index)
    return isinstance(held, Value) and len(held.shape) == 1


def _call_on(thing: ast.expr, method: str, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(ast.Attribute(thing, method, ast.Load()), arguments, [])


def _method(tree: ast.expr, name: str, arguments: list[ast.expr], keepdim: bool = False) -> ast.Call:
    keywords = [ast.keyword("keepdim", ast.Constant(True))] if keepdim else []
    return ast.Call(ast.Attribute(tree, name, ast.Load()), arguments, keywords)


def _summed(node: ast.expr) -> ast.expr | None:
    """`a` of `a.sum(...)`."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("sum", "mean")
    ):
        return node.func.value
    return None


def _sum_of(inner: ast.expr, like: ast.expr) -> ast.Call:
    assert isinstance(like, ast.Call)
    assert isinstance(like.func, ast.Attribute)
    changed, function = copy.copy(like), copy.copy(like.func)
    function.value = inner
    changed.func = function
    return changed


def _is_root(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return isinstance(node.func, ast.Attribute) and node.func.attr in ("sqrt", "rsqrt")


def _argument(node: ast.Call) -> ast.expr:
    assert isinstance(node.func, ast.Attribute)
    return node.args[0] if node.args else node.func.value


def _of(node: ast.Call, change: Callable[[ast.expr], ast.expr]) -> ast.Call:
    changed = copy.copy(node)
    if node.args:
        changed.args = [change(node.args[0]), *node.args[1:]]
    else:
        function = copy.copy(node.func)
        assert isinstance(function, ast.Attribute)
        function.value = change(function.value)
        changed.func = function
    return changed
