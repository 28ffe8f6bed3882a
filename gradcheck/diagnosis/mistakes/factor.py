"""A factor of one step is missing, there twice, or divided by where it should be multiplied with."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from gradcheck import ops
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction
from gradcheck.diagnosis.mistakes.predicting import operands, with_operand, with_step
from gradcheck.diagnosis.mistakes.segment import Edge
from gradcheck.diagnosis.mistakes.writing import Edit, Spot, broadcasts
from gradcheck.fronts.tape import Op, Value

_MOST_NAMES = 72
_MOST_FACTORS = 30  # of the same shape, put in the place of another
_SLOPES = ("1 - a**2", "a * (1 - a)", "a > 0", "2 * a")
_INSTEAD = (
    (2.3, "a"), (2.4, "a > 0"), (2.5, "1 - a**2"), (2.5, "a * (1 - a)"), (2.6, "1 / a"), (2.6, "1 - a"), (2.6, "a**2"),
)  # fmt: skip


# -- edits -----------------------------------------------------------------------------------------------------------


def _edits(spot: Spot) -> Iterator[Edit]:
    context = spot.context
    if spot.is_term:
        top = 0.0 if not spot.path else 0.4
        for text, value in context.tensors[:_MOST_NAMES]:
            if not broadcasts(value, context.shape):
                continue
            yield spot.edit(2.2 + top, "x * a", a=text)
            if value in context.forward:
                yield spot.edit(2.5 + top, "x / a", a=text)
                if tuple(value.shape) == context.shape:
                    for factor in _SLOPES:
                        yield spot.edit(2.9 + top, f"x * ({factor})", a=text)
    elif spot.is_argument or spot.is_operand_of(ast.MatMult):
        shape = tuple(spot.held.shape) if isinstance(spot.held, Value) else context.shape
        for text, value in context.tensors[:_MOST_NAMES] if not isinstance(spot.node, ast.Constant) else ():
            if broadcasts(value, shape):
                yield spot.edit(2.8, "x * a", a=text)
                if value in context.forward and tuple(value.shape) == shape:
                    for factor in _SLOPES:
                        yield spot.edit(3.2, f"x * ({factor})", a=text)
    if spot.is_operand_of(ast.Mult) and not isinstance(spot.node, ast.Constant):
        alike = [t for t, v in context.tensors if v in context.forward and tuple(v.shape) == context.shape]
        for text in alike[:_MOST_FACTORS]:
            for cost, form in _INSTEAD:
                yield spot.edit(cost, form, a=text)


# -- predictions -----------------------------------------------------------------------------------------------------

_Ways = list[tuple[float, str, str]]
_TABLES: dict[str, _Ways] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _predictions(case: Case) -> Iterator[Prediction]:
    for edge in case.segment.edges if case.first.fits else ():
        op, denominator = edge.op, _denominator(edge.op)
        for operand in operands(case, edge):
            ways = _TABLES["products"] if op.operation is ops.MUL else ()
            if denominator is operand:
                ways = _TABLES["denominators"]
            elif denominator is edge.source:
                ways = _TABLES["products"][:1]
            for power, kind, sentence in ways:
                yield Prediction(
                    kind,
                    with_operand(edge, operand, lambda s, p=power, x=operand: s.tensor(x) ** p),  # type: ignore[misc]
                    sentence,
                    {"x": operand, "where": op},
                    {"operand": operand},
                )
            if denominator is edge.source:
                yield from _quotient_powers(edge)


def _quotient_powers(edge: Edge) -> Iterator[Prediction]:
    for power, kind, sentence in _TABLES["quotients"]:
        yield Prediction(
            kind,
            with_step(edge, lambda s, local, p=power: local * s.tensor(edge.source) ** p),  # type: ignore[misc]
            sentence,
            {"x": edge.source, "where": edge.op},
            {"operand": edge.source, "power_too_many": power},
        )


def _denominator(op: Op) -> Value | None:
    if op.operation is not ops.DIV or len(op.args) < 2:
        return None
    second = op.args[0] if op.reverse else op.args[1]
    return second if isinstance(second, Value) else None


MISTAKE = Mistake("factor", _edits, _predictions)
