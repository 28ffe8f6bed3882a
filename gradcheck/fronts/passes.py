"""Whether an iteration of a loop holds a backward pass, by the names that it binds."""

from __future__ import annotations

from gradcheck.fronts.gradient_names import Form, is_loss_name, parse
from gradcheck.fronts.tape import Kind, Recording


def holds_a_pass(recording: Recording, start: int, start_binding: int) -> bool:
    """Whether a loss and its gradients were computed since `start`, and are finished."""
    bound = [
        b
        for b in recording.bindings[start_binding:]
        if b.value.producer is not None and b.value.producer.index >= start
    ]
    if not any(is_loss_name(b.name) for b in bound):
        return False
    gradients = [b for b in bound if not b.alias and parse(b.name).form >= Form.BARE_D]
    if not gradients:
        return False
    # Gradients that are summed over the iterations are not finished before the loop is.
    ops, named = recording.ops[start:], recording.gradient_named
    made = {v.root for v in named if v.birth >= start}
    for op in ops:
        if any(v in named and v.birth < start for v in op.inputs):
            return False
        if any(v.root in made for v in op.inputs):
            if any(v.root.birth < start for v in op.mutated):
                return False
            made.update(v.root for v in op.outputs)
    before = {b.name: b.value for b in recording.bindings[:start_binding]}
    return not any(before.get(b.name) in b.value.producer.inputs for b in bound if b.value.root in made)  # type: ignore[union-attr]


def only_prepares(recording: Recording, start: int, start_binding: int) -> bool:
    """Whether nothing before `start` can be a backward pass of its own."""
    return not (
        any(op.kind in (Kind.BACKWARD, Kind.GRAD_WRITE) for op in recording.ops[:start])
        or any(
            parse(b.name).form is not Form.NONE or is_loss_name(b.name)
            for b in recording.bindings[:start_binding]
        )
    )
