"""The tokens that a program draws after its training, one run of its sampling loop after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType

import torch

from gradcheck.fronts.tape import LoopRun, Op, Recording, Value
from gradcheck.health.samples.sequences import Drawn, Token
from gradcheck.program.observer import LoopEnd

_MOST_ROWS = 100_000


@dataclass(slots=True)
class DrawnSet:
    """Everything that one call in the program drew. `runs` are sequences one by one, or, if `side_by_side`, one
    run holds as many as the distribution has rows. `draws` are the ops, run by run."""

    op: Op  # the first
    side_by_side: bool = False
    runs: list[Drawn] = field(default_factory=list)
    draws: list[list[Op]] = field(default_factory=list)
    columns: list[list[list[Token]]] = field(default_factory=list)  # of each run, if side by side
    classes: int = 0
    left_after: int = 0  # iterations: the longest run that had no end


def drawn_sets(recording: Recording) -> list[DrawnSet]:
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


def _set_of(ops: Sequence[Op], loop_runs: Sequence[LoopRun]) -> DrawnSet | None:
    shapes = {_rows_and_classes(op) for op in ops}
    if len(shapes) != 1:
        return None  # rows that are dropped as they end cannot be told apart
    shape = shapes.pop()
    if shape is None:
        return None
    rows, classes = shape
    found = DrawnSet(ops[0], side_by_side=rows > 1, classes=classes)
    for run, drawn in _by_innermost_run(ops, loop_runs):
        left = _had_no_end(run)
        if left:
            found.left_after = max(found.left_after, run.turns)
        # A loop that is not on the tape to its end, or not from its beginning. Its last turn may draw nothing.
        if not left and (run.how is None or len(drawn) < run.turns - 1):
            continue
        table = [_tokens(op) for op in drawn]
        found.draws.append(drawn)
        if rows > 1:
            found.columns.append([list(column) for column in zip(*table, strict=True)])
        else:
            tokens: list[Token] = [row[0] for row in table]
            found.runs.append(Drawn(tokens, limited=run.site.is_bounded, left=left))
    return found if found.draws else None


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
