"""The whole line is replaced by the textbook formula, where one forward operation leads to its upstream gradient."""

from collections.abc import Iterator

from gradcheck import ops
from gradcheck.diagnosis.mistakes.arguments import axis_of
from gradcheck.diagnosis.mistakes.mistake import Mistake
from gradcheck.diagnosis.mistakes.writing import Context, Edit, Spot, Step
from gradcheck.fronts.tape import Value

_COST = 3.2


def _edits(spot: Spot) -> Iterator[Edit]:
    for step in spot.context.steps if spot.is_whole else ():
        for text in _formulas(step, spot.context):
            yield spot.edit(_COST, text)


def _formulas(step: Step, context: Context) -> Iterator[str]:
    g, operation = step.upstream, step.op.operation
    if operation is ops.MATMUL and len(step.op.args) == 2:
        yield from (f"{g} @ {other}.T" for other in _names_of(step.op.args[1], context))
        yield from (f"{other}.T @ {g}" for other in _names_of(step.op.args[0], context))
    elif operation.arity == 1 and operation.vjp and step.result:
        axis = axis_of(step.op)
        if axis is not None or operation.axis is None:
            yield operation.vjp.format(g=g, x=step.value, y=step.result, axis=axis)


def _names_of(value: object, context: Context) -> Iterator[str]:
    if isinstance(value, Value):
        yield from (text for text, held in context.tensors if held is value)


MISTAKE = Mistake("textbook formula", _edits)
