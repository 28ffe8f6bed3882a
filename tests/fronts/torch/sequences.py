"""The draws from distributions over categories that a program made after its training, one sequence for each run of the
loop that they were made in: a name letter by letter, a text word by word.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from gradcheck import ops
from gradcheck.fronts.tape import LoopRun, Op, Recording


@dataclass(slots=True)
class DrawnSequence:
    """`run` is the innermost loop the draws were made in, across functions; None if there was none. Its `how` says how
    the sequence ended: None if that was not seen, LEFT if the loop had no end and was left by gradcheck."""

    run: LoopRun | None
    draws: list[Op] = field(default_factory=list)  # what was drawn is `draw.out.data`

    def by_iteration(self) -> list[list[Op]]:
        """The draws of each iteration of the loop that was recorded; draws before the first are left out."""
        if self.run is None:
            return [self.draws]
        found: list[list[Op]] = [[] for _ in self.run.iterations]
        for op in self.draws:
            iteration = bisect_right(self.run.iterations, op.index) - 1
            if iteration >= 0:
                found[iteration].append(op)
        return found


def drawn_sequences(recording: Recording) -> list[DrawnSequence]:
    """In the order of their first draws."""
    pending = sorted(recording.loop_runs, key=lambda run: (-run.begin, -run.depth))
    running: list[LoopRun] = []
    found: dict[int, DrawnSequence] = {}
    for op in (op for op in recording.aftermath_ops if op.operation is ops.CATEGORICAL):
        while pending and pending[-1].begin <= op.index:
            running.append(pending.pop())
        running = [run for run in running if run.end is None or run.end > op.index]
        innermost = max(running, key=lambda run: run.depth, default=None)
        activation = -1 if innermost is None else innermost.activation
        found.setdefault(activation, DrawnSequence(innermost)).draws.append(op)
    return list(found.values())
