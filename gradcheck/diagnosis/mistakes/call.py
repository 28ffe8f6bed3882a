"""A function or a selection too many, another function; and a factor of a product that should be another."""

import ast
import copy
from collections.abc import Iterator

from gradcheck import ops
from gradcheck.diagnosis.mistakes.mistake import Mistake
from gradcheck.diagnosis.mistakes.writing import Edit, Spot
from gradcheck.ops import operation_called

_FUNCTIONS = [operation.name for operation in ops.COMMON_FUNCTIONS]


def _edits(spot: Spot) -> Iterator[Edit]:
    node = spot.node
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _FUNCTIONS:
            for other in _FUNCTIONS:
                if other != node.func.attr:
                    yield spot.edit(1.7, renamed(node, other))
        if len(node.args) == 1 and not isinstance(node.args[0], ast.Starred):
            yield spot.edit(1.6, node.args[0])
        if isinstance(node.func, ast.Attribute) and operation_called(node.func.attr) is not ops.OPAQUE:
            yield spot.edit(1.2, node.func.value)
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and spot.held is None:
        yield spot.edit(1.9, node.value)


def renamed(node: ast.Call, name: str) -> ast.Call:
    """The same call of another function or method."""
    changed, function = copy.copy(node), copy.copy(node.func)
    assert isinstance(function, ast.Attribute)
    function.attr = name
    changed.func = function
    return changed


MISTAKE = Mistake("call", _edits)
