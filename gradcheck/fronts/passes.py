"""Where on the tape a training step begins."""

from collections.abc import Iterable

from gradcheck.fronts.gradient_names import Form, is_loss_name, parse
from gradcheck.fronts.tape import Kind, Recording
from gradcheck.fronts.updates import Update
from gradcheck.ops import DETACH, Family

_NO_DERIVATIVE = (Family.QUERY, Family.COMPARE, Family.CHOICE)


def reads_since(recording: Recording, first: int, start: int, updates: Iterable[Update]) -> int:
    """The first op from `first` on that computes with what `updates` move, and that the ops from `start` on depend on."""
    tape = recording.ops
    moved = {update.parameter.root for update in updates}
    needed = {value.root for op in tape[start:] for value in op.inputs} - moved
    found = start
    for op in reversed(tape[first:start]):
        if op.operation.family in _NO_DERIVATIVE or op.operation is DETACH:
            continue
        if any(value.root in needed for value in (*op.outputs, *op.mutated)):
            read = {value.root for value in op.inputs}
            found = op.index if read & moved else found
            needed |= read - moved
    return found


def only_prepares(recording: Recording, start: int, start_binding: int) -> bool:
    """Whether nothing before `start` can be a backward pass of its own."""
    return not (
        any(op.kind in (Kind.BACKWARD, Kind.GRAD_WRITE) for op in recording.ops[:start])
        or any(
            parse(b.name).form is not Form.NONE or is_loss_name(b.name)
            for b in recording.bindings[:start_binding]
        )
    )
