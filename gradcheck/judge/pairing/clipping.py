"""Clipping by norm: a gradient that is there is multiplied with a number made of gradients."""

import ast

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Number, Op, Value
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.passes import PassPlan

_OPS_BEFORE = 200  # among which a number was handed to Python


def clips(op: Op, gradient: Value, plan: PassPlan, names: NameIndex) -> bool:
    """Whether `op` multiplies a gradient with a number that comes from gradients, and from no value of the forward pass."""
    if op.operation not in (ops.MUL, ops.DIV) or len(op.args) != 2:
        return False
    given, factor = op.args
    if not (isinstance(given, Value) and given.root is gradient.root):
        given, factor = factor, given
    if not (isinstance(given, Value) and given.root is gradient.root):
        return False
    if isinstance(factor, Value):
        return factor.shape == () and _comes_from_gradients(factor, plan, op.index)
    if isinstance(factor, Number):
        return _comes_from_gradients(factor.source, plan, op.index)
    if not isinstance(factor, float) or _is_literal(names, op):
        return False
    read = reversed(plan.slicer.ops[max(plan.loss_op.index, op.index - _OPS_BEFORE) : op.index])
    last = next(
        (e for e in read if e.kind is Kind.ESCAPE and e.inputs and e.operation is not ops.QUESTION), None
    )
    return last is not None and _comes_from_gradients(last.inputs[0], plan, last.index)


def _comes_from_gradients(number: Value, plan: PassPlan, before: int) -> bool:
    roots = {candidate.value.root for candidate in plan.candidates}
    for op in plan.slicer.backwards([number], before):
        if op.index <= plan.loss_op.index:
            return False
        if any(value.root in roots for value in op.inputs):
            return True
    return False


def _is_literal(names: NameIndex, op: Op) -> bool:
    """Whether the number that the statement multiplies with or divides by is written there."""
    statement = names.statement(op)
    value = getattr(statement, "value", None)
    sides = [value]
    if isinstance(value, ast.BinOp) and not isinstance(statement, ast.AugAssign):
        sides = [value.left, value.right]
    return any(side is None or isinstance(side, ast.Constant) for side in sides)
