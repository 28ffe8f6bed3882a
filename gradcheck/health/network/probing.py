"""A stretch of the tape with its tensors, and what a piece of it computes when it is given other numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Value
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.runner import Runner, attempted


def fed(
    ops: Iterable[Op],
    given: Mapping[Value, torch.Tensor] | None = None,
    *,
    start: Mapping[Value, torch.Tensor] | None = None,
) -> Runner:
    """`ops` run in float64, with the tensors `given` as they are, and those of `start` converted."""
    replay = Runner(torch.float64, start_from=dict(start or {}), known=dict(given or {}))
    with torch.no_grad():
        replay.run(ops)
    return replay


def fed_from(
    ops: Iterable[Op], given: Mapping[Value, torch.Tensor], tensor: Callable[[Op, Value], torch.Tensor]
) -> Runner:
    """`ops` run with `given`; whatever else an op reads and none of them made is asked of `tensor`, each time again."""
    replay = Runner(torch.float64, known=dict(given))
    made = set(given)
    with torch.no_grad():
        for op in ops:
            for value in op.inputs:
                if value not in made:
                    replay.put(value, tensor(op, value))
            replay.step(op)
            made.update(op.outputs)
    return replay


@dataclass(frozen=True)
class Stretch:
    """`ops` in order, and `tensor` to ask for a value they read or made; it raises ReplayError for one that could
    not be replayed. The forward pass of a step is one, and so is what an evaluation computes."""

    ops: Sequence[Op]
    tensor: Callable[[Value], torch.Tensor]
    names: NameIndex
    places: Places

    def known(self, value: Value) -> torch.Tensor | None:
        return attempted(self.tensor, value)
