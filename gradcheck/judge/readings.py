"""How else a pass may be meant: as a part of the loss that is reported, a little beside a kink, without what guards a
logarithm."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from gradcheck import ops
from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.kinks import points_beside, without_ties
from gradcheck.judge.verdict import PassResult, Problem, Verdict
from gradcheck.replay.compare import multiple_of, norm
from gradcheck.replay.guards import without_guards
from gradcheck.replay.probes import has_frozen_numbers

Reading = tuple[
    dict[str, Any], str
]  # what of the plan is otherwise, and what the report says if that is how it is

_SAME = 1e-9  # relative, in float64


def as_reported(judge: Judge, result: PassResult) -> Iterator[Reading]:
    """`epoch_loss += -log_p.sum()`, while the gradients are those of the mean over the batch."""
    share = _share_of(judge)
    if share != 1:
        yield (
            {"share": share},
            f"`{judge.plan.loss_name}` adds up what it is to report: the gradients are compared with those of {share:g} "
            "times what is added",
        )


def beside_kinks(judge: Judge, result: PassResult) -> Iterator[Reading]:
    doubtful = (
        row.verdict is Verdict.INTRODUCED or row.problem is Problem.HARMLESS for row in result.gradients
    )
    if not (any(doubtful) or any(each.surrogate for each in judge.judged)):
        return
    if has_frozen_numbers(judge.ops, judge.plan, judge.places):
        return
    note = (
        "numbers of this step lie where there is no derivative (a maximum of equal ones, a ReLU of exactly 0): the "
        "gradients are compared with all of them moved a little"
    )
    ties = without_ties(judge)
    for moved in [*points_beside(judge)]:
        yield {"moved": moved, "instead": {}}, note
    if ties:
        yield {"moved": {}, "instead": ties}, note


def unguarded(judge: Judge, result: PassResult) -> Iterator[Reading]:
    """What keeps a logarithm or a quotient finite changes nothing that anybody means to differentiate."""
    if all(row.verdict in (Verdict.CORRECT, Verdict.UNOBSERVABLE) for row in result.gradients):
        return
    if instead := without_guards(judge.plan.forward_ops):
        places = [judge.places.location(op) for op in instead.values()]
        lines = " and ".join(dict.fromkeys(f"line {place.line}" for place in places))
        note = (
            f"the guard against 0 in {lines} is left out in what is compared: the backward pass leaves it out"
        )
        yield {"instead": instead}, note


READINGS: tuple[Callable[[Judge, PassResult], Iterator[Reading]], ...] = (
    as_reported,
    beside_kinks,
    unguarded,
)


def _share_of(judge: Judge) -> float:
    """The part of the loss that most gradients of parameters are of, one over a size of the step; 1 if there is none, or
    if the loss is anything but a term of a running sum that has no name of its own."""
    plan, truth = judge.plan, judge.run.graph.truth
    terms = [value for value in plan.loss_op.inputs if value in truth]
    if plan.loss_op.operation is not ops.ADD or len(terms) != 1 or judge.names.forward_names(terms[0]):
        return 1.0
    moved = {update.parameter.root for update in plan.updates}
    factors: list[float] = []
    for judged in judge.judged:
        if (
            judged.of is not None
            and judged.of in truth
            and judged.of.root in moved
            and judged.version.final
            and judged.found is not None
        ):
            tolerance = _SAME * norm(judged.found)
            factors.append(float(f"{multiple_of(judged.found, truth[judged.of], tolerance):.12g}"))
    usual = max(factors, key=factors.count, default=1.0)
    sizes = {size for op in plan.forward_ops for value in op.inputs for size in _sizes(value)}
    fits = any(size > 1 and abs(usual * size - 1) < _SAME for size in sizes)
    return usual if fits and 2 * factors.count(usual) > len(factors) else 1.0


def _sizes(value: Value) -> tuple[int, ...]:
    return (*value.shape, math.prod(value.shape))
