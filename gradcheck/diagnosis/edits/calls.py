"""Reductions and functions: another axis, keepdim, sum for mean, a transpose too many or too few, another function."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, constant_of, edit, is_loaded
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import Path, expressions, parent_of
from gradcheck.fronts.tape import Value

_REDUCTIONS = {"sum": "mean", "mean": "sum", "var": "std", "std": "var"}
_ELEMENTWISE = ("tanh", "sigmoid", "exp", "log", "sqrt", "relu", "abs", "sign", "sin", "cos", "square")
_AXES = (0, 1, -1)


def edits(tree: Tree, context: Context) -> Iterator[Edit]:
    for path, node in expressions(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            if name in _REDUCTIONS:
                yield from _reduction(tree, path, node, name)
            elif name in _ELEMENTWISE:
                for other in _ELEMENTWISE:
                    if other != name:
                        yield edit(1.7, tree, path, _renamed(node, other))
        if isinstance(node, ast.Call) and len(node.args) == 1 and not isinstance(node.args[0], ast.Starred):
            yield edit(1.6, tree, path, node.args[0])  # a function too many
        if isinstance(node, ast.Attribute) and node.attr == "T":
            yield edit(1.0, tree, path, node.value)
        elif (
            is_loaded(node)
            and _is_matrix(node, context)
            and not isinstance(parent_of(tree, path), ast.Attribute)
        ):
            yield edit(1.0, tree, path, ast.Attribute(node, "T", ast.Load()))
        if isinstance(node, ast.Subscript) and is_loaded(node) and context.resolve(node) is None:
            yield edit(1.9, tree, path, node.value)  # a selection too many


def _reduction(tree: Tree, path: Path, node: ast.Call, name: str) -> Iterator[Edit]:
    yield edit(1.0, tree, path, _renamed(node, _REDUCTIONS[name]))
    keywords = {keyword.arg: keyword for keyword in node.keywords}
    axis = next((keywords[k] for k in ("dim", "axis") if k in keywords), None)
    function_form = _is_module_function(node)
    position = 1 if function_form else 0
    for other in _AXES:
        if axis is not None:
            if constant_of(axis.value) != other:
                changed = [
                    k if k is not axis else ast.keyword(axis.arg, ast.Constant(other)) for k in node.keywords
                ]
                yield edit(1.0, tree, path, _with(node, node.args, changed))
        elif len(node.args) > position:
            if constant_of(node.args[position]) != other:
                arguments = [*node.args[:position], ast.Constant(other), *node.args[position + 1 :]]
                yield edit(1.0, tree, path, _with(node, arguments, node.keywords))
        else:
            yield edit(1.3, tree, path, _with(node, [*node.args, ast.Constant(other)], node.keywords))
            kept = [*node.keywords, ast.keyword("keepdim", ast.Constant(True))]
            yield edit(1.6, tree, path, _with(node, [*node.args, ast.Constant(other)], kept))
    kept_name = "keepdims" if "keepdims" in keywords else "keepdim"
    if kept_name in keywords:
        without = [k for k in node.keywords if k.arg != kept_name]
        yield edit(1.2, tree, path, _with(node, node.args, without))
    elif axis is not None or len(node.args) > position:
        kept = [*node.keywords, ast.keyword(kept_name, ast.Constant(True))]
        yield edit(1.2, tree, path, _with(node, node.args, kept))
    if not function_form and isinstance(node.func, ast.Attribute):
        yield edit(1.5, tree, path, node.func.value)  # a reduction too many
    if axis is not None or len(node.args) > position:
        without = [k for k in node.keywords if k is not axis and k.arg != kept_name]
        yield edit(1.6, tree, path, _with(node, node.args[:position], without))


def _with(node: ast.Call, arguments: list[ast.expr], keywords: list[ast.keyword]) -> ast.Call:
    changed = copy.copy(node)
    changed.args, changed.keywords = arguments, keywords
    return changed


def _renamed(node: ast.Call, name: str) -> ast.Call:
    changed, function = copy.copy(node), copy.copy(node.func)
    assert isinstance(function, ast.Attribute)
    function.attr = name
    changed.func = function
    return changed


def _is_module_function(node: ast.Call) -> bool:
    """`torch.sum(x, 0)` and not `x.sum(0)`."""
    return isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id in (
        "torch", "np", "numpy", "F",
    )  # fmt: skip


def _is_matrix(node: ast.expr, context: Context) -> bool:
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        return False
    held = context.resolve(node)
    return isinstance(held, Value) and len(held.shape) == 2
