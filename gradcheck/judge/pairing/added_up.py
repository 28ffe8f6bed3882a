"""Gradients that are added up over several passes before anything is moved: those of the sum of their losses.

Micro-batches, or the samples of a minibatch one after the other: each time the same line computes a loss, of which nobody
computes the sum.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.fronts.insertion import insert, number_op
from gradcheck.fronts.tape import Op, Recording
from gradcheck.graph import flow
from gradcheck.replay.passes import PassPlan
from gradcheck.replay.slices import produced


@dataclass(frozen=True, slots=True)
class SumOfLosses:
    """What stands on the tape for the sum."""

    count: int

    @property
    def __name__(self) -> str:
        return "sum_of_losses"

    def __call__(self, *losses: Any) -> Any:
        return sum(loss.sum() for loss in losses)


def add_up_losses(recording: Recording, whole: Recording, plans: Iterable[PassPlan]) -> list[Op]:
    """Puts the sums on the tape of `whole`."""
    alike: dict[tuple[object, ...], list[PassPlan]] = defaultdict(list)
    for plan in plans:
        alike[plan.iteration, plan.loss_op.code, plan.loss_op.lasti].append(plan)
    added = []
    for group in alike.values():
        last, losses = group[-1].loss_op, tuple(plan.loss for plan in group)
        if _move_together(recording, group):
            added.append(number_op(last.index + 1, SumOfLosses(len(group)), losses, last))
    insert(whole, added)
    return added


def _move_together(recording: Recording, plans: Sequence[PassPlan]) -> bool:
    """Whether what moves the parameters comes of all of them."""
    updates, last = plans[-1].updates, plans[-1].loss_op.index
    if len(plans) < 2 or not updates or min(update.op.index for update in updates) < last:
        return False
    ops = recording.ops[plans[0].start : updates[-1].op.index]
    moved = [update.step for update in updates if update.step is not None]
    behind = flow.backward(ops, moved, key=flow.storage)
    made = [{value.root for value in produced(plan.forward_ops)} for plan in plans]
    return all(not roots.isdisjoint(behind) for roots in made)
