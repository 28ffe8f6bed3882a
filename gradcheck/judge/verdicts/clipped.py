"""Gradients that were judged already and are now only multiplied with a number: clipping by norm."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from gradcheck.fronts.tape import Kind, Number, Op, Value
from gradcheck.replay.passes import Version

if TYPE_CHECKING:
    from gradcheck.judge.judge import Judge

_MULTIPLIES = {"mul", "__mul__", "__rmul__", "multiply", "div", "__truediv__", "true_divide", "divide"}


def only_rescaled(judge: Judge, version: Version) -> bool:
    """Clipping by norm: an already judged gradient, multiplied with a number made from the gradients."""
    versions = version.candidate.versions
    before = versions[: versions.index(version)]
    # Clipped first, normalised afterwards: what lies between the two was not judged itself.
    judged = next((v for v in reversed(before) if any(j.version is v for j in judge.judged)), None)
    if judged is None or not judge.relations.only_rescales(version, judged):
        return False
    for op in version.writes[len(judged.writes) :]:
        factor = op.args[1]
        from_gradients = (
            isinstance(factor, Value) and factor.shape == () and factor.root in judge.influences.derived
        )
        if not from_gradients and not isinstance(factor, Number) and not _numbers_escaped_before(judge, op):
            return False
    return True


def clipped(judge: Judge, version: Version) -> bool:
    """Clipping by norm into a new tensor: `grads[key] = grads[key] * (most / norm)`."""
    op = version.writes[0] if len(version.writes) == 1 else None
    if op is None or op.name not in _MULTIPLIES or len(op.args) != 2:
        return False
    judged = {j.candidate.value for j in judge.judged}
    for gradient, factor in (op.args, op.args[::-1]):
        if not isinstance(gradient, Value) or gradient not in judged:
            continue
        if isinstance(factor, Value):
            return factor.shape == () and _made_of_gradients(judge, factor, op)
        if isinstance(factor, Number):
            return _made_of_gradients(judge, factor.source, op)
        return isinstance(factor, float) and not _literal(judge, op) and _norm_escaped_before(judge, op)
    return False


def _norm_escaped_before(judge: Judge, op: Op) -> bool:
    """Whether the last number that Python was handed was made from gradients that are judged."""
    for earlier in reversed(judge.ops[max(judge.plan.loss_op.index, op.index - 200) : op.index]):
        if earlier.kind is Kind.ESCAPE and earlier.inputs and earlier.name != "__bool__":
            return _made_of_gradients(judge, earlier.inputs[0], earlier)
    return False


def _made_of_gradients(judge: Judge, number: Value, before: Op) -> bool:
    """Whether a number is made from gradients that are judged: a norm, and no value of the forward pass."""
    roots = {judged.candidate.value.root for judged in judge.judged}
    for op in judge.plan.slicer.backwards([number], before.index):
        if op.index <= judge.plan.loss_op.index:
            return False
        if any(value.root in roots for value in op.inputs):
            return True
    return False


def _literal(judge: Judge, op: Op) -> bool:
    """Whether the number that the statement multiplies with or divides by is written there."""
    value = getattr(judge.partners.names.statement(op), "value", None)
    sides = (value.left, value.right) if isinstance(value, ast.BinOp) else (value,)
    return any(side is None or isinstance(side, ast.Constant) for side in sides)


def _numbers_escaped_before(judge: Judge, op: Op) -> bool:
    """Whether Python was handed a number made from the finished gradients shortly before."""
    for earlier in reversed(judge.ops[max(judge.plan.loss_op.index, op.index - 200) : op.index]):
        derived = earlier.inputs and earlier.inputs[0].root in judge.influences.derived
        if earlier.kind is Kind.ESCAPE and derived:
            return earlier.inputs[0] is not judge.plan.loss and earlier.name != "__bool__"
    return False
