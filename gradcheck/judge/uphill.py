"""Which way updates go: whether the program's gradients point uphill (`W += rate * delta`), and whether the step of
one update does, which has no name of its own."""

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.fronts.updates import Update
from gradcheck.judge.step.minimised import is_minimised
from gradcheck.ops import Family
from gradcheck.replay.compare import inner
from gradcheck.replay.passes import PassPlan

_MOST_STEPS = 4  # from the update back to the gradient


def goes_uphill(plan: PassPlan) -> bool:
    adding = [u.arithmetic for u in plan.updates if u.arithmetic.operation is ops.ADD]
    return bool(adding) and all(map(_adds_plainly, adding))


def _adds_plainly(op: Op) -> bool:
    alpha = (op.kwargs or {}).get("alpha", 1)
    if _is_negative(alpha):
        return False
    step = op.args[1] if len(op.args) > 1 else None
    for _ in range(_MOST_STEPS):
        if not isinstance(step, Value) or step.producer is None:
            break
        producer = step.producer
        if producer.operation.family in (Family.PRODUCT, Family.REDUCTION, Family.CONSTANT):
            break  # the gradient itself, or where it is added up: what it is computed from has signs of its own
        if producer.operation in (ops.NEG, ops.SUB):
            return False
        if any(_is_negative(a) for a in producer.args):
            return False
        divided = producer.operation is ops.DIV  # by a root of squares, which has no sign
        values = [
            a
            for a in producer.args[: 1 if divided else None]
            if isinstance(a, Value) and a.shape == step.shape
        ]
        step = values[0] if len(values) == 1 else None
    return True


def may_go_that_way(plan: PassPlan, step: Value, found: torch.Tensor, truth: torch.Tensor) -> bool:
    """Whether `step`, of which `found` are the numbers, moves its parameter downhill, or the loss may be meant to rise."""
    ways = [way for update in plan.updates if (way := _way(update, step)) is not None]
    along = inner(found, truth)
    return not ways or not is_minimised(plan) or any(way * along < 0 for way in ways)


def _way(update: Update, wanted: Value) -> int | None:
    """1 if the update adds a positive multiple of `wanted`, -1 if it subtracts one; None if it is not made of it so."""
    step, way = update.step, 1
    if update.arithmetic.operation is ops.SUB:
        way = -way
    if _is_negative((update.op.kwargs or {}).get("alpha", 1)):
        way = -way
    for _ in range(_MOST_STEPS):
        if step is None or step is wanted:
            break
        producer = step.producer
        if producer is None or producer.operation not in ops.SCALING:
            return None
        if producer.operation is ops.NEG:
            way = -way
        if any(_is_negative(a) for a in producer.args):
            way = -way
        values = [a for a in producer.args if isinstance(a, Value) and a.shape == step.shape]
        step = values[0] if len(values) == 1 else None
    return way if step is wanted else None


def _is_negative(number: object) -> bool:
    return isinstance(number, (int, float)) and number < 0
