"""Which stretch of the tape a pass is: where its forward pass begins, where it ends, and what belongs to which."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradcheck.fronts.tape import Op, Recording
from gradcheck.fronts.updates import UpdateFinder
from gradcheck.judge.pairing.added_up import SumOfLosses
from gradcheck.replay.passes import PassPlan


@dataclass(frozen=True, slots=True)
class Step:
    """A recorded training iteration: its first op, the first op after it, its number."""

    begin: int
    end: int
    number: int


def recorded_steps(recording: Recording) -> list[Step]:
    found: list[Step] = []
    opened: dict[int, int] = {}
    for mark in recording.marks:
        if mark.what == "step":
            opened[mark.loop] = mark.when
        elif mark.what == "step-end" and mark.loop in opened:
            found.append(Step(opened.pop(mark.loop), mark.when, mark.number))
    return found


class UsedMoves:
    """Which ops move what an earlier pass used. Each op is looked at once for each pass, however many losses depend on
    it."""

    def __init__(self, updates: UpdateFinder) -> None:
        self._updates = updates
        self._looked: dict[int, int] = {}  # by op, how many passes did not use what it moves
        self._moves: set[int] = set()

    def is_one(self, op: Op, earlier: Sequence[PassPlan]) -> bool:
        """`earlier` are the passes known by now, those of the last call and further ones."""
        if op.index in self._moves or not self._updates.may_be_update(op):
            return op.index in self._moves
        found = any(
            plan.loss_op.index < op.index and self._updates.is_update(op, plan.loss_op.index + 1, plan.used)
            for plan in earlier[self._looked.get(op.index, 0) :]
        )
        self._looked[op.index] = len(earlier)
        if found:
            self._moves.add(op.index)
        return found


def forward_pass(
    ops: Iterator[Op], earlier: Sequence[PassPlan], moves: UsedMoves, begin: int
) -> tuple[int, list[Op]]:
    """Where the forward pass of a loss begins, and its ops in order. `ops` are those the loss depends on, the last
    first. It begins after the last parameter update among them (an update of what an earlier loss was computed
    from), and not before op `begin`, where its training iteration does."""
    chosen: list[Op] = []
    for op in ops:
        if op.index < begin:
            break
        if moves.is_one(op, earlier):
            begin = op.index + 1
            break
        chosen.append(op)
    chosen.reverse()
    return begin, chosen


def set_windows(plans: list[PassPlan], steps: list[Step], last: int) -> None:
    """A pass outside of the recorded iterations may go on until the end of the tape, op `last`."""
    for plan in plans:
        plan.stop = last
    by_loss = sorted(plans, key=lambda plan: plan.loss_op.index)
    places = [plan.loss_op.index for plan in by_loss]
    for step in steps:
        for plan in by_loss[bisect_left(places, step.begin) : bisect_left(places, step.end)]:
            plan.iteration, plan.stop = step.number, step.end


def merge_chains(plans: list[PassPlan]) -> list[PassPlan]:
    """A loss that another one is made of (a data term, a running sum over chunks) is no pass of its own; which of
    them the gradients are of is found by trying."""
    made_from: dict[int, list[int]] = {plan.loss_op.index: [] for plan in plans}
    for i, plan in enumerate(plans):
        for op in plan.forward_ops:
            if op.index in made_from:
                made_from[op.index].append(i)
    kept: list[PassPlan] = []
    for i, plan in enumerate(plans):
        outer = next(
            (
                plans[later]
                for later in made_from[plan.loss_op.index]
                if later > i and plans[later].iteration == plan.iteration
            ),
            None,
        )
        if outer is None:
            kept.append(plan)
        elif not isinstance(outer.loss_op.func, SumOfLosses):  # each was judged by itself before
            outer.alternatives.extend([plan, *plan.alternatives])
    return kept


class PlanChooser:
    """Tells which pass a value belongs to: that of the loss that precedes it, within its training iteration."""

    def __init__(self, plans: list[PassPlan], steps: list[Step]) -> None:
        self._steps = steps
        self._all = _Ordered(plans)
        self._outside = _Ordered([p for p in plans if p.iteration is None] or plans)

    def choose(self, when: int) -> PassPlan | None:
        for step in self._steps:
            if step.begin < when <= step.end:
                return self._all.nearest(when, step.begin, step.end)
        return self._outside.nearest(when)


class _Ordered:
    def __init__(self, plans: list[PassPlan]) -> None:
        self._plans = sorted(plans, key=lambda plan: plan.loss_op.index)
        self._places = [plan.loss_op.index for plan in self._plans]

    def nearest(self, when: int, begin: int = 0, end: int | None = None) -> PassPlan | None:
        """The last loss before `when`, or else the first one after; of those made from `begin` to `end`."""
        first = bisect_left(self._places, begin)
        last = len(self._places) if end is None else bisect_left(self._places, end)
        position = bisect_left(self._places, when, first, last)
        if position > first:
            return self._plans[position - 1]
        return self._plans[position] if position < last else None
