"""The tokens that a program draws after its training, one run of its sampling loop after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import CodeType

import torch

from gradcheck.fronts.tape import LoopRun, Op, Recording, Value
from gradcheck.health.samples.sequences import Collected, Drawn
from gradcheck.program.observer import LoopEnd

_MOST_ROWS = 100_000


def drawn_sets(recording: Recording) -> list[Collected]:
    """Those that could be sequences: one token at a time, in a loop."""
    by_place: dict[tuple[CodeType, int], list[Op]] = {}
    for op in recording.aftermath_ops:
        if op.name == "multinomial" and isinstance(op.out, Value) and op.out.data is not None and op.args:
            by_place.setdefault((op.code, op.lasti), []).append(op)
    found = []
    for ops in by_place.values():
        made = _set_of(ops, recording.loop_runs)
        if made is not None:
            found.append(made)
    return found


def _set_of(ops: Sequence[Op], loop_runs: Sequence[LoopRun]) -> Collected | None:
    shapes = {_rows_and_classes(op) for op in ops}
    if len(shapes) != 1:
        return None  # rows that are dropped as they end cannot be told apart
    shape = shapes.pop()
    if shape is None:
        return None
    rows, classes = shape
    found = Collected([], rows > 1, ops[0], classes)
    for run, drawn in _by_innermost_run(ops, loop_runs):
        left = _had_no_end(run)
        if left:
            found.left_after = max(found.left_after, run.turns)
        # A loop that is not on the tape to its end, or not from its beginning. Its last turn may draw nothing.
        if not left and (run.how is None or len(drawn) < run.turns - 1):
            continue
        for row, tokens in enumerate(zip(*map(_tokens, drawn), strict=True)):
            limited, endless = rows > 1 or run.site.is_bounded, rows == 1 and left
            found.runs.append(Drawn(list(tokens), limited, endless, drawn, row))
    return found if found.runs else None


def _had_no_end(run: LoopRun) -> bool:
    """And was left for it; a loop around it is left as well, but it is the one that draws."""
    return run.how is LoopEnd.LEFT and run.site.is_while and not run.site.is_bounded


def _rows_and_classes(op: Op) -> tuple[int, int] | None:
    """Of one draw from each of some distributions."""
    weights = op.args[0]
    if not isinstance(weights, Value) or not 1 <= len(weights.shape) <= 2:
        return None
    drawn = op.out.data
    rows = weights.shape[0] if len(weights.shape) == 2 else 1
    if drawn.numel() != rows or rows > _MOST_ROWS:
        return None  # several draws from one distribution are no sequence
    return rows, weights.shape[-1]


def _tokens(op: Op) -> list[int]:
    drawn: torch.Tensor = op.out.data
    return [int(token) for token in drawn.flatten().tolist()]


def _by_innermost_run(ops: Sequence[Op], loop_runs: Sequence[LoopRun]) -> Iterator[tuple[LoopRun, list[Op]]]:
    """The draws of every run, each in the innermost run around it; draws outside of all loops are left out."""
    runs = sorted(loop_runs, key=lambda run: (run.begin, run.depth))
    open_runs: list[LoopRun] = []
    held: dict[int, tuple[LoopRun, list[Op]]] = {}
    waiting = iter(runs)
    coming = next(waiting, None)
    for op in ops:
        while coming is not None and coming.begin <= op.index:
            open_runs.append(coming)
            coming = next(waiting, None)
        open_runs = [run for run in open_runs if run.end is None or run.end > op.index]
        if open_runs:
            innermost = max(open_runs, key=lambda run: (run.depth, run.begin))
            held.setdefault(id(innermost), (innermost, []))[1].append(op)
    yield from held.values()
