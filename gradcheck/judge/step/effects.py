"""What the gradients contribute to the move of each parameter, measured by a replay.

The step is replayed twice in float64: as it was, and with every parameter's gradient negated as soon as it is
finished. Half of what the two moves differ by is the gradients' part, whatever the program does with them: learning
rate, momentum, Adam, clipping. What is the same in both (weight decay, an average) is not theirs. (Gradients of zero
would serve as well, but for programs that divide by their norm.)
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.precision import default_dtype
from gradcheck.judge.judge import Judge
from gradcheck.replay.compare import is_finite
from gradcheck.replay.passes import Version
from gradcheck.replay.runner import Patch, Runner, attempted
from gradcheck.replay.slices import last_used, leading_to

# Numbers for gradients, by the op that finishes them; and for what the step starts from.
Given = dict[int, list[tuple[Value, torch.Tensor]]]


@dataclass(frozen=True, slots=True)
class Span:
    """A parameter is `before` until op `first`, and has been moved to `after` by op `last`."""

    before: Value
    after: Value
    first: int
    last: int


def gradient_effects(
    judge: Judge, spans: Mapping[Value, Span], gradients: Iterable[Version]
) -> dict[Value, torch.Tensor]:
    """For every parameter in `spans`, the part of its move that comes from the gradients; a parameter is left out
    where that cannot be replayed."""
    if not spans:
        return {}
    needed, known = from_gradients(judge, ops_that_move(judge, spans), spans, gradients)
    forward = moves(judge, needed, spans, given=known)
    # Set, and not only negated: one may have been computed from another that was negated already.
    backward = moves(judge, needed, spans, given=known, sign=-1)
    effects = {}
    for parameter, move in forward.items():
        effect = move.sub_(backward.pop(parameter)).div_(2) if parameter in backward else None
        if effect is not None and is_finite(effect):
            effects[parameter] = effect
    return effects


def from_gradients(
    judge: Judge, ops: list[Op], spans: Mapping[Value, Span], gradients: Iterable[Version]
) -> tuple[list[Op], Given]:
    """Of the ops that move the parameters, those that do it where the gradients are given as they are; and those."""
    known: Given = defaultdict(list)
    for version in gradients:
        if (found := judge.run.captured.get(id(version))) is not None:
            known[version.after].append((version.candidate.value, found))
    earlier = [op.index for op in ops if op.index < judge.plan.start]
    if earlier:
        known[earlier[-1]] = list(judge.run.start_tensors().items())
    given = {after: [value for value, _ in each] for after, each in known.items()}
    return leading_to(ops, _roots(spans), given), known


def ops_that_move(judge: Judge, spans: Mapping[Value, Span]) -> list[Op]:
    """All that the parameters in `spans` depend on, as they are before and after their moves."""
    last = max(span.last for span in spans.values())
    return judge.plan.slicer.slice(_roots(spans), 0, last + 1)


def _roots(spans: Mapping[Value, Span]) -> set[Value]:
    return {value.root for span in spans.values() for value in (span.before, span.after)}


def moves(
    judge: Judge, ops: list[Op], spans: Mapping[Value, Span], patches: Mapping[int, Patch] | None = None,
    given: Given | None = None, shifts: Mapping[Value, torch.Tensor] | None = None, sign: int = 1,
) -> dict[Value, torch.Tensor]:  # fmt: skip
    """The whole change that the step made to every parameter in `spans`, by replaying `ops`; a parameter is left out
    where that cannot be replayed. What is `given`, by the op that finishes it, takes the place of what is computed, times
    `sign`; `shifts` are added to parameters before their moves."""
    replay = Runner(torch.float64, autograd_truth=dict(judge.run.graph.truth), patches=patches)
    first: dict[int, list[Value]] = defaultdict(list)
    last: dict[int, list[Value]] = defaultdict(list)
    for parameter, span in spans.items():
        first[span.first].append(parameter)
        last[span.last].append(parameter)
    before: dict[Value, torch.Tensor] = {}
    found: dict[Value, torch.Tensor] = {}
    asked: dict[int, list[Value]] = defaultdict(list)
    for span in spans.values():
        asked[span.first].append(span.before)
        asked[span.last].append(span.after)
    unused = last_used(ops, {value for patch in (patches or {}).values() for value in patch.reads}, asked)
    waiting = sorted((given or {}).items(), reverse=True)
    with torch.no_grad(), default_dtype(torch.float64):
        for op in ops:
            while waiting and waiting[-1][0] < op.index:
                after, those = waiting.pop()
                for value, tensor in those:
                    _set(replay, value, tensor if sign > 0 or after < judge.plan.start else -tensor)
            for parameter in first.get(op.index, ()):
                start = _current(replay, spans[parameter].before)
                if start is not None:
                    before[parameter] = start
                if shifts is not None:
                    replay.writable(spans[parameter].before).add_(shifts[parameter])
            replay.step(op)
            ends = [(p, _current(replay, spans[p].after)) for p in last.get(op.index, ())]
            for value in unused.get(op.index, ()):
                replay.forget(value)
            while ends:  # each of these is as large as the parameter
                parameter, end = ends.pop()
                start = before.pop(parameter, None)
                if start is not None and end is not None and start.shape == end.shape:
                    found[parameter] = end - start
    return found


def _set(replay: Runner, value: Value, given: torch.Tensor) -> None:
    tensor = replay.env.get(value)
    if tensor is None:
        replay.put(value, given, lent=True)
    elif tensor.shape == given.shape:
        replay.writable(value).copy_(given)


def _current(replay: Runner, value: Value) -> torch.Tensor | None:
    found = attempted(replay.preserved, value)
    return None if found is None else found.detach()
