"""Patterns as rows, and how they are looked for: backwards from a value, through operations that do not matter."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.ops import Family, Operation

M = TypeVar("M")
# The tensor of a value; None if it is not known.
Tensors = Callable[[Value], torch.Tensor | None]
_MOST_VALUES = 4_000


@dataclass(frozen=True, slots=True)
class Row(Generic[M]):
    """A call of one of `operations` may be it; `read` returns what it is, or None if it is not."""

    operations: Collection[Operation]
    read: Callable[[Op], M | None]


def first_match(rows: Sequence[Row[M]], op: Op) -> M | None:
    for row in rows:
        if op.operation in row.operations:
            try:
                found = row.read(op)
            except (RuntimeError, IndexError):
                continue  # its numbers have other shapes
            if found is not None:
                return found
    return None


def search(
    end: Value, rows: Sequence[Row[M]], makers: Mapping[Value, Sequence[Op]], through: Callable[[Op], bool]
) -> list[M]:
    """Every match that `end` is computed from by operations that `through` accepts; nothing is looked for behind a
    match. `makers` are the operations that made or changed each value."""
    found: list[M] = []
    pending, seen = [end], {end}
    while pending and len(seen) < _MOST_VALUES:
        steps = makers.get(pending.pop(), ())
        matched = first_match(rows, steps[0]) if steps else None
        if matched is not None:
            found.append(matched)
            continue
        for step in filter(through, steps):
            new = [value for value in step.inputs if value not in seen]
            seen.update(new)
            pending.extend(new)
    return found


def behind(value: Value, through: Callable[[Op], bool], most: int = 16) -> Iterator[Value]:
    """`value`, then what it was made of by one operation after the other that `through` accepts, always the first
    operand."""
    for _ in range(most):
        yield value
        op = value.producer
        if op is None or not through(op) or not op.args or not isinstance(op.args[0], Value):
            return
        value = op.args[0]


def reduced_axes(op: Op) -> tuple[int, ...] | None:
    """The axes that a reduction goes over; None for any other operation."""
    operation = op.operation
    if operation.family is not Family.REDUCTION or not op.args or not isinstance(op.args[0], Value):
        return None
    rank = len(op.args[0].shape)
    axes = None
    if operation.axis is not None:
        kwargs = op.kwargs or {}
        axes = next((kwargs[k] for k in operation.axis.keywords if kwargs.get(k) is not None), None)
        if axes is None and len(op.args) > operation.axis.position:
            axes = op.args[operation.axis.position]
    if axes is None or isinstance(axes, (bool, float)) or axes == () or axes == []:
        return tuple(range(rank))
    axes = (axes,) if isinstance(axes, int) else axes
    if not isinstance(axes, (tuple, list)) or not all(isinstance(axis, int) for axis in axes):
        return None
    return tuple(sorted(axis % rank for axis in axes)) if rank else ()
