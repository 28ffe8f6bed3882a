"""A loss whose `backward` takes once more what was predicted, in the place of an upstream gradient: `loss.backward(output, y)`.

Its source tells the two apart: a gradient is linear in its upstream gradient, and `y - output`, `-y / output` are not.
"""

import ast
import inspect
from collections.abc import Callable
from typing import Any

from gradcheck.fronts.namespace import tensors_of_namespace
from gradcheck.layers.arrays import is_floating
from gradcheck.layers.methods import OUTPUT
from gradcheck.layers.usage import nodes_of
from gradcheck.layers.wanted import role_of
from gradcheck.program.reading.tree import parts_of


def is_no_gradient(backward: Callable[..., Any], name: str) -> bool:
    """Whether `backward` subtracts it from something else, or that from it, or divides by it: as it stands, or as a part of
    what was made of it."""
    made = {name}
    statements = [
        node for node in nodes_of(backward) if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return))
    ]
    for statement in sorted(statements, key=lambda node: node.lineno):
        before = [ast.unparse(each) for each in getattr(statement, "targets", ())]
        for node in ast.walk(statement):
            match node:
                case ast.BinOp(one, ast.Sub(), _) if ast.unparse(one) in before:
                    pass  # a step: `self.W = self.W - lr * dW`
                case ast.BinOp(one, ast.Sub() | ast.Add(), other) if _reads(one, made) != _reads(other, made):
                    return True
                case ast.AugAssign(one, ast.Sub() | ast.Add(), other) if _reads(one, made) > _reads(
                    other, made
                ):
                    return True
                case ast.BinOp(_, ast.Div(), other) if _reads(other, made):
                    return True
        if isinstance(statement, ast.Assign) and _reads(statement.value, made):
            made |= {ast.unparse(part) for each in statement.targets for part in parts_of(each)}
    return False


def _reads(node: ast.AST, names: set[str]) -> bool:
    """Whether it reads the elements of one of these: `len(x)` and `x.shape` are no elements."""
    match node:
        case ast.Name() | ast.Attribute() if ast.unparse(node) in names:
            return True
        case ast.Attribute(_, "shape" | "ndim" | "size" | "dtype") | ast.Call(ast.Name("len")):
            return False
    return any(_reads(child, names) for child in ast.iter_child_nodes(node))


def predicted(owner: object, given: dict[str, Any]) -> Any:
    """What its caller hands over: what `forward` made in the shape of what it was given, and left on the object, such as the
    output of its softmax; and else what it was given. None where that cannot be told."""
    inputs = [value for name, value in given.items() if role_of(name) != "target" and is_floating(value)]
    if not inputs:
        return None
    arrays = [(n, each) for n, each, _ in tensors_of_namespace({"self": owner}) if is_floating(each)]
    made = [(n, each) for n, each in arrays if each.shape == inputs[0].shape]
    held = [(n, each) for n, each in made if not any(each is one for one in given.values())]
    if len(held) > 1:
        held = [(n, each) for n, each in held if OUTPUT.fullmatch(n.rpartition(".")[2])]
    if len(held) > 1:
        return None
    return held[0][1] if held else inputs[0]


def reduction_of(owner: object, forward: Callable[..., Any]) -> str | None:
    """Whether the loss is the "mean" or the "sum" of what `forward` gives for each row: the method of the object says it that
    calls `forward`."""
    for _, method in inspect.getmembers(type(owner), inspect.isfunction):
        called = method.__code__.co_names
        if forward.__name__ in called:
            return next((how for how in ("mean", "sum") if how in called), None)
    return None
