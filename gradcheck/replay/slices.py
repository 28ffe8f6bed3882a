"""Which ops a value needs: slices of the tape, backwards from what is wanted.

Values that share storage (views) are followed together: a write through one of them is a write to all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradcheck.recording.tape import Kind, Op, Value

_SKIPPED = (Kind.ESCAPE, Kind.BACKWARD, Kind.GRAD_WRITE)


def slice_ops(ops: Sequence[Op], wanted: Iterable[Value], start: int, stop: int) -> list[Op]:
    """The ops of `ops[start:stop]` that `wanted` (as they are after op `stop - 1`) depend on, in order."""
    needed = {value.root for value in wanted}
    chosen: list[Op] = []
    for index in range(stop - 1, start - 1, -1):
        op = ops[index]
        if op.kind in _SKIPPED:
            continue
        outputs = op.outputs
        if not any(v.root in needed for v in outputs) and not any(v.root in needed for v in op.mutated):
            continue
        chosen.append(op)
        for value in outputs:
            if value.root is value and value.producer is op:
                needed.discard(value)
        if op.kind is Kind.RANDOM:
            continue
        needed.update(value.root for value in op.inputs)
    chosen.reverse()
    return chosen


def roots_mutated(ops: Iterable[Op]) -> set[Value]:
    return {value.root for op in ops for value in op.mutated}


def produced(ops: Iterable[Op]) -> set[Value]:
    """All values the ops make (not those they only change)."""
    return {value for op in ops for value in op.outputs if value.producer is op}
