"""Another value of the same shape: that before the activation for that after it, another layer's, an older one."""

import ast
from collections.abc import Iterator
from difflib import SequenceMatcher

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction
from gradcheck.diagnosis.mistakes.predicting import operands, with_operand
from gradcheck.diagnosis.mistakes.reads import as_read, described, reads_of
from gradcheck.diagnosis.mistakes.wording import name
from gradcheck.diagnosis.mistakes.writing import Context, Edit, Spot, broadcasts, everywhere, spots_by_text
from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import same_but_for_ones

_MOST_NAMES = 24  # other names tried for one
_MOST_FACTORS = 40
_MOST_VALUES = 24  # other values tried for one


# -- edits -----------------------------------------------------------------------------------------------------------


def _edits(spot: Spot) -> Iterator[Edit]:
    if isinstance(spot.node, ast.expr) and not spot.inside:
        if isinstance(spot.held, Value):
            for cost, text in _others(ast.unparse(spot.node), spot.held, spot.context):
                yield spot.edit(cost, text)
        elif type(spot.held) in (int, float):
            for text, value in spot.context.numbers:
                if value != spot.held and text.isidentifier():
                    yield spot.edit(1.6, text)
    if not spot.path:
        yield from _everywhere(spot)


def _everywhere(whole: Spot) -> Iterator[Edit]:
    """The same change wherever a name occurs: the upstream gradient without gamma in every term of a formula."""
    context = whole.context
    for text, alike in spots_by_text(whole.tree, context).items():
        held = alike[0].held
        if len(alike) < 2 or not isinstance(held, Value):
            continue
        for cost, other in _others(text, held, context):
            yield everywhere(cost + 0.3, alike, "other", other=other)
        for other, value in context.tensors[:_MOST_FACTORS]:
            if value is not held and broadcasts(value, held.shape):
                cost = 2.6 if value in context.forward else 3.0
                yield everywhere(cost, alike, "x * other", other=other)


def _others(own: str, held: Value, context: Context) -> list[tuple[float, str]]:
    """Names that could have been meant for `own`, which holds `held`, with what each costs; the likeliest first."""
    found: list[tuple[float, str]] = []
    for text, value in context.tensors:
        if value is held or text == own or not same_but_for_ones(value.shape, held.shape):
            continue
        cost = 1.0 + 0.5 * (1 - SequenceMatcher(None, own, text).ratio())
        if (value in context.forward) != (held in context.forward):
            cost += 0.5  # a gradient for a gradient, a forward value for a forward value
        if parse(text).form is Form.NONE and value not in context.forward:
            cost += 0.2
        found.append((cost, text))
    return sorted(found)[:_MOST_NAMES]


# -- predictions -----------------------------------------------------------------------------------------------------


def _read_here(case: Case) -> Iterator[Prediction]:
    """Another value that the line reads in the place of the right one."""
    reads = reads_of(case)
    for edge in case.segment.edges if case.first.fits else ():
        for operand in operands(case, edge):
            right = case.first.tensor(operand)
            for read in reads:
                other = as_read(case, case.first, read)
                if other is None or other.shape != right.shape or other.dtype != right.dtype:
                    continue
                if read.value is operand and read.changed_by is None:
                    continue
                was = (
                    "the {right} that the forward pass used"
                    if read.changed_by is not None and name(case, operand) == name(case, read.value)
                    else "{right}"
                )
                yield Prediction(
                    "wrong-operand",
                    with_operand(edge, operand, lambda scene, read=read: as_read(case, scene, read)),  # type: ignore[misc]
                    f"this is what you get with {{used}} in the place of {was}",
                    {"used": described(case, read, operand), "right": operand},
                    {"used": read.value, "instead_of": operand, "changed": read.changed_by is not None},
                )


def _anywhere(case: Case) -> Iterator[Prediction]:
    """Any named value of the same shape in the place of the right one, those computed near it first."""
    for edge in case.segment.edges if case.first.fits else ():
        for operand in operands(case, edge):
            if not case.first.tensor(operand).is_floating_point():
                continue
            named = [value for value in case.named_by_shape[tuple(operand.shape)] if value is not operand]
            for other in sorted(named, key=lambda v: abs(v.birth - operand.birth))[:_MOST_VALUES]:
                yield Prediction(
                    "wrong-operand",
                    with_operand(edge, operand, lambda scene, other=other: scene.tensor(other)),  # type: ignore[misc]
                    "this is what you get with {used} in the place of {right} ({where})",
                    {"used": other, "right": operand, "where": edge.op},
                    {"used": other, "instead_of": operand},
                )


READ_HERE = Mistake("wrong name", _edits, _read_here)
ANYWHERE = Mistake("wrong value", predictions=_anywhere)
