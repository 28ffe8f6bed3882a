"""A transpose too many or too few: of an operand, of the upstream gradient, or of the whole."""

import ast
from collections.abc import Iterator

import torch

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction
from gradcheck.diagnosis.mistakes.predicting import operands, with_operand
from gradcheck.diagnosis.mistakes.writing import Edit, Spot, is_loaded
from gradcheck.fronts.tape import Value
from gradcheck.ops import Family


def _edits(spot: Spot) -> Iterator[Edit]:
    node = spot.node
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield spot.edit(1.0, node.value)
    elif (
        isinstance(spot.held, Value)
        and len(spot.held.shape) == 2
        and is_loaded(node)
        and not isinstance(spot.parent, ast.Attribute)
    ):
        yield spot.edit(1.0, "x.T")
    if spot.is_whole:
        yield spot.edit(1.7, "x.T")


def _predictions(case: Case) -> Iterator[Prediction]:
    if not case.first.fits:
        return
    if is_square(case.first.expected.shape):
        yield Prediction(
            "transposed", lambda s: _flipped(s.expected), "it is the transpose of the right gradient"
        )
    for edge in case.segment.edges:
        for operand in operands(case, edge) if edge.op.operation.family is Family.PRODUCT else ():
            if is_square(operand.shape):
                yield Prediction(
                    "transposed-operand",
                    with_operand(edge, operand, lambda s, v=operand: _flipped(s.tensor(v))),  # type: ignore[misc]
                    "{x} is transposed once too often or too little ({where})",
                    {"x": operand, "where": edge.op},
                    {"operand": operand},
                )


def is_square(shape: tuple[int, ...]) -> bool:
    return len(shape) >= 2 and shape[-1] == shape[-2]


def _flipped(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.transpose(-1, -2)


MISTAKE = Mistake("transposed", _edits, _predictions)
