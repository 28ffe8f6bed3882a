"""Gradients that were judged already and are now only multiplied with a number: clipping by norm."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Number, Op, Value
from gradcheck.judge.case import Case
from gradcheck.judge.influence import Mark
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import NOT_JUDGED, Ruling

_OPS_BEFORE = 200  # among which the norm was read


def clipped(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): the gradient was judged before; what is left of it is the optimiser's step."""
    return NOT_JUDGED if _in_place(case) or _into_a_new_tensor(case) else None


def _in_place(case: Case) -> bool:
    """An already judged gradient, multiplied with a number made from the gradients."""
    judge, versions = case.judge, case.candidate.versions
    before = versions[: versions.index(case.version)]
    # Clipped first, normalised afterwards: what lies between the two was not judged itself.
    judged = next((v for v in reversed(before) if any(j.version is v for j in judge.judged)), None)
    if judged is None or not judge.relations.only_rescales(case.version, judged):
        return False
    return all(
        _is_number_of_gradients(judge, op.args[1])
        or isinstance(op.args[1], Number)
        or _read_gradients_before(judge, op)
        for op in case.version.writes[len(judged.writes) :]
    )


def _is_number_of_gradients(judge: Judge, factor: object) -> bool:
    return isinstance(factor, Value) and factor.shape == () and judge.influences.has(factor, Mark.DERIVED)


def _read_gradients_before(judge: Judge, op: Op) -> bool:
    """Whether Python was handed a number made from the finished gradients shortly before."""
    last = next(
        (e for e in _escapes_before(judge, op) if judge.influences.has(e.inputs[0], Mark.DERIVED)), None
    )
    return last is not None and last.inputs[0] is not judge.plan.loss and last.operation is not ops.QUESTION


def _escapes_before(judge: Judge, op: Op) -> Iterator[Op]:
    """The ops that handed Python a number shortly before, the last first."""
    first = max(judge.plan.loss_op.index, op.index - _OPS_BEFORE)
    return (e for e in reversed(judge.ops[first : op.index]) if e.kind is Kind.ESCAPE and e.inputs)


def _into_a_new_tensor(case: Case) -> bool:
    """`grads[key] = grads[key] * (most / norm)`."""
    judge, writes = case.judge, case.version.writes
    op = writes[0] if len(writes) == 1 else None
    if op is None or op.operation not in (ops.MUL, ops.DIV) or len(op.args) != 2:
        return False
    judged = {j.candidate.value for j in judge.judged}
    for gradient, factor in (op.args, op.args[::-1]):
        if not isinstance(gradient, Value) or gradient not in judged:
            continue
        if isinstance(factor, Value):
            return factor.shape == () and _made_of_gradients(judge, factor, op)
        if isinstance(factor, Number):
            return _made_of_gradients(judge, factor.source, op)
        if not isinstance(factor, float) or _is_literal(judge, op):
            return False
        last = next((e for e in _escapes_before(judge, op) if e.operation is not ops.QUESTION), None)
        return last is not None and _made_of_gradients(judge, last.inputs[0], last)
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


def _is_literal(judge: Judge, op: Op) -> bool:
    """Whether the number that the statement multiplies with or divides by is written there."""
    value = getattr(judge.partners.names.statement(op), "value", None)
    sides = (value.left, value.right) if isinstance(value, ast.BinOp) else (value,)
    return any(side is None or isinstance(side, ast.Constant) for side in sides)
