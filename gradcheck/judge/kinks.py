"""Numbers that lie on a kink: the maximum of two equal ones, a ReLU of exactly 0, as zero biases and zero inputs give it.

No derivative exists there, and whatever lies between the slopes on both sides is as right as what autograd takes. A little
beside it there is one, so that gradients are compared there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Value, function_name
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.ops import Family
from gradcheck.replay.probes import Jittered
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import ReplayError

# Of the jitter of a probe point: far above the rounding of float32, and no other branch is taken.
_BESIDE = 1e-3
_JUMP = 1e-3  # of the largest element: what one of them moves by there, if it does not follow the numbers
_CLOSER = 0.02  # of the way: what follows the numbers has moved by as much less there, and a jump is as large
_STAYS = 0.1  # of a jump, at least
_ROUNDING = 1e-12  # of the largest gradient: smaller ones are what is left of numbers that cancel each other
_MOST_ELEMENTS = 5_000_000
_SEED = 7


def points_beside(judge: Judge) -> Iterator[dict[Value, torch.Tensor]]:
    """Numbers of the leaves a little beside the recorded ones, on both sides, if the true gradients jump on the way there.
    Labels and masks stay as they are at first: they are no numbers that could be others."""
    run, leaves = judge.run, _leaves(judge)
    some = [leaf for leaf in leaves if not _is_label(run.graph.at_first(leaf))]
    for chosen in (some, leaves) if some != leaves else (leaves,):
        for share in (_BESIDE, -_BESIDE) if chosen else ():
            moved, closer = (dict(Jittered(run, chosen, _SEED, part)) for part in (share, share * _CLOSER))
            try:
                far = _changes(judge, moved)
                suspects = [value for value, change in far.items() if bool((change > 1).any())]
                near = _changes(judge, closer) if suspects else {}
            except ReplayError:
                continue
            both = ((far[value], near[value]) for value in suspects if value in near)
            if any(bool(((there > 1) & (here > _STAYS * there)).any()) for there, here in both):
                yield moved


def without_ties(judge: Judge) -> dict[int, Op]:
    """By index, the ops that make equal numbers of which a maximum is taken (all that a ReLU has made 0), as ones whose
    results are a little apart: whichever of them the person takes, the first in the order of memory is the largest."""
    graph, found = judge.run.graph, {}
    for op in judge.plan.forward_ops:
        of = op.args[0] if op.operation is ops.MAX and op.args else None
        if not isinstance(of, Value) or of.root not in graph.truth:
            continue
        made = of.root.producer
        if made is None or made.kind is not Kind.PURE or made.index < judge.plan.start:
            continue
        tensor = graph.tensor(of.root).detach()
        if isinstance(made.out, Value) and len(set(tensor.flatten().tolist())) < tensor.numel():
            found[made.index] = replace(made, func=_Apart(made.func), lowered=None)
    return found


@dataclass(frozen=True)
class _Apart:
    function: Callable[..., Any]

    @property
    def __name__(self) -> str:
        return function_name(self.function)

    def __call__(self, *args: Any, **named: Any) -> Any:
        made = self.function(*args, **named)
        steps = torch.linspace(2, 1, made.numel(), dtype=made.dtype).reshape(made.shape)
        return made + _BESIDE * _BESIDE * float(made.detach().abs().max()) * steps


def _leaves(judge: Judge) -> list[Value]:
    """What the forward pass begins with, and the backward pass reads or is the gradient of: parameters and data. A
    constant that the forward pass alone compares with stays what it is."""
    truth, plan = judge.run.graph.truth, judge.plan
    known = {j.of.root for j in judge.judged if j.of is not None}
    known |= {v.root for op in judge.prepared.manual if op.index > plan.loss_op.index for v in op.inputs}
    known |= {value.root for value in flow.ancestors(*known, through=_picks)}  # `W[words]`
    found = []
    for value in truth:
        made_of = value.producer.inputs if value.producer is not None else []
        if (
            value is not value.root
            or value not in known
            or any(v in truth and v.root is not value for v in made_of)
        ):
            continue
        tensor = judge.run.graph.at_first(value)
        if tensor.is_floating_point() and 0 < tensor.numel() <= _MOST_ELEMENTS:
            found.append(value)
    return found


def _picks(op: flow.Step) -> bool:
    return isinstance(op, Op) and op.operation.family in (Family.GATHER, Family.LAYOUT, Family.SAME)


def _is_label(tensor: torch.Tensor) -> bool:
    """Whole numbers that are not all the same. Those that are may be biases at their beginning."""
    first = tensor.reshape(-1)[0]
    return bool((tensor == tensor.round()).all()) and not bool((tensor == first).all())


def _changes(judge: Judge, moved: dict[Value, torch.Tensor]) -> dict[Value, torch.Tensor]:
    """By how much the elements of true gradients are others there; 1 is what a jump is at least."""
    other = PassRun(judge.prepared, torch.float64, moved, at_once=False)
    here, there = judge.run.graph.truth, other.graph.truth
    sizes = {value: float(tensor.abs().max()) for value, tensor in here.items() if tensor.numel()}
    rounding = _ROUNDING * max(sizes.values(), default=0.0)
    found = {}
    for value in sizes.keys() & there.keys():
        if here[value].shape == there[value].shape:
            size = max(sizes[value], float(there[value].abs().max()))
            found[value] = (here[value] - there[value]).abs() / max(_JUMP * size, rounding, 1e-300)
    return found
