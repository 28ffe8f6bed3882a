"""A function of a name for the name: t**2 for t, 1 - t for t, tanh(z) for z, a comparison for a value."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, binary, edit, is_loaded, parsed
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import expressions
from gradcheck.fronts.tape import Value

_SMALL = 0.02  # largest eps
_FUNCTIONS = ("tanh", "sigmoid", "exp", "log", "sqrt")


def edits(tree: Tree, context: Context) -> Iterator[Edit]:
    inside_path: set[int] = set()
    for path, node in expressions(tree):
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) or not is_loaded(node) or not path:
            continue
        if id(node) in inside_path:
            continue
        held = context.resolve(node)
        if not isinstance(held, Value):
            continue
        inside_path.update(id(inner) for inner in ast.walk(node))
        yield edit(1.2, tree, path, binary(node, ast.Pow(), ast.Constant(2)))
        for literal in context.literals:
            if 0 < literal < _SMALL:
                yield edit(
                    1.5, tree, path, binary(node, ast.Add(), ast.Constant(literal))
                )  # the eps of the forward
        yield edit(1.6, tree, path, binary(ast.Constant(1), ast.Sub(), node))
        yield edit(2.0, tree, path, binary(ast.Constant(1), ast.Div(), node))
        yield edit(1.9, tree, path, ast.Compare(node, [ast.Gt()], [ast.Constant(0)]))
        yield edit(
            2.1, tree, path, binary(ast.Constant(1), ast.Sub(), binary(node, ast.Pow(), ast.Constant(2)))
        )
        yield edit(2.1, tree, path, binary(node, ast.Mult(), binary(ast.Constant(1), ast.Sub(), node)))
        for axis in (0, 1, -1):
            if axis < len(held.shape):
                call = ast.Call(ast.Attribute(node, "sum", ast.Load()), [ast.Constant(axis)], [])
                yield edit(2.0, tree, path, call)
                kept = ast.keyword("keepdim", ast.Constant(True))
                yield edit(
                    2.3,
                    tree,
                    path,
                    ast.Call(ast.Attribute(node, "sum", ast.Load()), [ast.Constant(axis)], [kept]),
                )
        if held in context.forward:
            for text, value in context.tensors:
                if value is not held and value in context.forward and value.shape == held.shape:
                    yield edit(2.4, tree, path, binary(node, ast.Sub(), parsed(text)))  # a deviation
            for function in _FUNCTIONS:
                name = ast.Attribute(ast.Name("torch", ast.Load()), function, ast.Load())
                yield edit(2.0, tree, path, ast.Call(name, [node], []))
