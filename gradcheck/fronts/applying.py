"""A loop over the parameters is a part of a training step, and no training loop, even if it reads each parameter for its
weight decay before it moves it. It applies gradients that were finished before it began, or, as a loop over the layers
does, follows from one.
"""

from collections.abc import Sequence
from itertools import takewhile

from gradcheck import ops
from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.fronts.updates import Update


def only_applies(recording: Recording, start: int, updates: Sequence[Update]) -> bool:
    """Whether all `updates`, which are among the ops from `start` on, move by gradients that were finished before."""
    follow = _Follow(recording.gradient_named | _handed_in(recording, start, updates), start)
    steps = {update.op.index: update.step for update in updates}
    for op in recording.ops[start:]:
        if op.index in steps:
            step = steps[op.index]
            if step is None or not follow.is_finished(step):
                return False
        follow.follow(op)
    return True


def _handed_in(recording: Recording, start: int, updates: Sequence[Update]) -> set[Value]:
    """What was computed before and is called a gradient by a function that it is handed to since `start`, or by a loop over
    its elements, whatever else it is called (`d`). What is moved is a gain `g`."""
    moved = {update.parameter for update in updates}
    since = takewhile(lambda binding: binding.when >= start, reversed(recording.bindings))
    named = {b.value for b in since if b.alias and parse(b.name).form >= Form.GENERIC}
    return {v for v in named if v.producer is not None and v.producer.inputs and v.root not in moved}


class _Follow:
    def __init__(self, gradient_named: set[Value], start: int) -> None:
        self._gradient_named = gradient_named
        self._start = start
        self._changed: set[Value] = set()
        self._finished: set[Value] = set()  # computed from a gradient that was finished before the start
        self._fresh: set[Value] = set()  # computed from a gradient that was computed since
        # Computed since from several tensors, none of them a gradient: no mere decay.
        self._joined: set[Value] = set()

    def is_finished(self, step: Value) -> bool:
        return self._given(step) and step.root not in self._fresh

    def follow(self, op: Op) -> None:
        inputs = op.inputs
        touched = [*op.outputs, *op.mutated]
        # What a buffer held is gone: what is put into it from here on is new.
        if op.operation is ops.FILL and op.mutated:
            for value in op.mutated:
                self._finished.discard(value.root)
                self._changed.add(value.root)
            return
        others = {value.root for value in inputs} - {value.root for value in op.mutated}
        if others & self._joined or (len(others) > 1 and not any(self._given(value) for value in inputs)):
            self._joined.update(value.root for value in op.outputs if value.producer is op)
        if others & self._joined:
            self._fresh.update(value.root for value in op.mutated if value in self._gradient_named)
        if any(value.root in self._fresh for value in inputs):
            self._fresh.update(value.root for value in touched)
        if any(self._given(value) for value in inputs):
            self._finished.update(value.root for value in touched)
        else:
            self._fresh.update(value.root for value in touched if value in self._gradient_named)
        self._changed.update(value.root for value in op.mutated)

    def _given(self, value: Value) -> bool:
        if value.root in self._finished:
            return True
        if value.birth > self._start or value.root in self._changed:
            return False
        made_before = value.producer is None or value.producer.index < self._start
        return value in self._gradient_named and made_before
