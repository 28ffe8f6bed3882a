"""Of code that is running already nobody can leave the loops. This recognises when it has trained for many steps, of which
one is enough, and where the first one ends."""

from collections import defaultdict
from collections.abc import Iterator
from types import CodeType

from gradcheck.fronts.gradient_names import is_loss_name
from gradcheck.fronts.tape import Mark, Recording
from gradcheck.fronts.updates import UpdateFinder

ENOUGH = 20  # steps
LOOK_EVERY = 4_000  # ops
_LOOP = -2  # as its number, of a loop that did not report


def steps_so_far(recording: Recording) -> int:
    """How often one and the same statement has computed a loss, with an update of a parameter after each of them. A
    loss that is summed over time steps or micro-batches is computed often too, but nothing is updated in between."""
    often = [whens for whens in _losses(recording) if len(whens) > ENOUGH]
    if not often:
        return 0
    finder = UpdateFinder(recording)
    # From one loss back to the one before it: there the parameters were read that are moved after it.
    return max(
        sum(bool(finder.between(whens[i - 1], whens[i + 1])) for i in range(1, len(whens) - 1))
        for whens in often
    )


def mark_first_step(recording: Recording) -> None:
    """If there are several: what a later one does is none of the first one's."""
    repeated = [whens for whens in _losses(recording) if len(whens) > 1]
    if not repeated or any(mark.what == "step" for mark in recording.marks):
        return
    finder = UpdateFinder(recording)
    ends = []
    for whens in repeated:
        first = whens[0]
        read = {value.root for op in recording.ops[:first] for value in op.inputs}
        updates = [update.op.index for update in finder.between(first, None, read)]
        following = next((when for when in whens if updates and when > updates[0]), None)
        if following is not None:
            ends.append(max(index for index in updates if index < following) + 1)
    if ends:
        recording.marks += [Mark(0, "step", 0, _LOOP), Mark(min(ends), "step-end", 0, _LOOP)]


def _losses(recording: Recording) -> Iterator[list[int]]:
    """For every statement that computes a loss, the moments at which it had."""
    moments: dict[tuple[CodeType, int], list[int]] = defaultdict(list)
    for binding in recording.bindings:
        if binding.code is not None and not binding.alias and is_loss_name(binding.name):
            moments[binding.code, binding.line].append(binding.when)
    yield from moments.values()
