"""Another operator, swapped operands, an operand too many, a sign too many or too few."""

import ast
from collections.abc import Iterator

import torch

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction
from gradcheck.diagnosis.mistakes.predicting import operands, with_operand
from gradcheck.diagnosis.mistakes.writing import Edit, Spot, constant_of

_OTHERS: dict[type[ast.operator], tuple[tuple[float, str], ...]] = {
    ast.Add: ((1.0, "a - b"), (1.0, "a * b")),
    ast.Sub: ((1.0, "a + b"), (1.0, "a * b"), (1.3, "b - a"), (1.5, "-b")),
    ast.Mult: ((1.0, "a / b"), (1.6, "a @ b"), (1.0, "a + b")),
    ast.Div: ((1.0, "a * b"), (1.3, "b / a")),
    ast.MatMult: ((1.0, "a * b"), (1.3, "b @ a")),
    ast.Pow: ((1.0, "a * b"), (1.3, "b ** a")),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Gt: ("a < b", "a >= b", "a <= b"),
    ast.Lt: ("a > b", "a <= b", "a >= b"),
    ast.GtE: ("a > b", "a <= b", "a < b"),
    ast.LtE: ("a < b", "a >= b", "a > b"),
    ast.Eq: ("a != b",),
    ast.NotEq: ("a == b",),
}


def _edits(spot: Spot) -> Iterator[Edit]:
    node = spot.node
    if isinstance(node, ast.BinOp):
        yield from _binary(spot, node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert, ast.Not)):
        if constant_of(node) is None:
            yield spot.edit(0.5, node.operand)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in _COMPARISONS.get(type(node.ops[0]), ()):
            yield spot.edit(1.0, other, a=node.left, b=node.comparators[0])
    if spot.is_whole:
        yield spot.edit(1.1, "-x")
    elif (
        (spot.is_operand_of(ast.Add, ast.Sub, ast.Mult) or isinstance(spot.parent, ast.Call))
        and not isinstance(node, ast.UnaryOp)
        and constant_of(node) is None
    ):
        yield spot.edit(1.5, "-x")
    if isinstance(node, ast.AugAssign):
        yield from _augmented(spot, node)
    elif (
        isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Subscript)
    ):
        for operator in (ast.Add(), ast.Sub(), ast.Mult()):
            yield spot.edit(1.0, ast.AugAssign(node.targets[0], operator, node.value))


def _binary(spot: Spot, node: ast.BinOp) -> Iterator[Edit]:
    constants = constant_of(node.left), constant_of(node.right)
    for cost, other in _OTHERS.get(type(node.op), ()):
        if other in ("a * b", "a / b") and 1 in constants:
            continue  # leaving out the 1 is another edit, and says the same
        yield spot.edit(cost, other, a=node.left, b=node.right)
    if isinstance(node.op, (ast.Mult, ast.Div)):
        for outer, inner in ((node.left, node.right), (node.right, node.left)):
            if isinstance(outer, ast.Call) and len(outer.args) == 1 and not isinstance(node.op, ast.Div):
                argument = ast.BinOp(outer.args[0], node.op, inner)  # `f(a * b)` for `f(a) * b`
                yield spot.edit(1.3, ast.Call(outer.func, [argument], outer.keywords))
    if type(node.op) in _OTHERS:
        yield spot.edit(1.3 if constants[1] is None else 1.0, node.left)
        if not isinstance(node.op, (ast.Div, ast.Pow)):
            yield spot.edit(1.4 if constants[0] is None else 1.0, node.right)


def _augmented(spot: Spot, node: ast.AugAssign) -> Iterator[Edit]:
    """`d += x` for `d = x` and the other ways round."""
    yield spot.edit(1.0, ast.Assign([node.target], node.value))
    for other in (ast.Add, ast.Sub, ast.Mult):
        if not isinstance(node.op, other):
            yield spot.edit(1.0, ast.AugAssign(node.target, other(), node.value))


def _predictions(case: Case) -> Iterator[Prediction]:
    """Of these only the comparison is recognised by a mask; the others come out as wrong factors and signs."""
    for edge in case.segment.edges if case.first.fits else ():
        for operand in operands(case, edge):
            if case.first.tensor(operand).dtype == torch.bool:
                yield Prediction(
                    "inverted-mask",
                    with_operand(edge, operand, lambda scene, v=operand: ~scene.tensor(v)),  # type: ignore[misc]
                    "the mask {mask} is the wrong way round",
                    {"mask": operand},
                    {"operand": operand},
                )


MISTAKE = Mistake("operator", _edits, _predictions)
