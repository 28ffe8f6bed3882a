"""What a training step starts from: the values that were there when its iteration began, as they were then.

Only at the end of an iteration is it known that it was a training step. By then its parameters have been moved, so
what a loop changes of what was there before it is copied when it is first changed. With that, a step that was found
stands on its own: whatever led to it (loading, normalising, initialising) is taken off the tape, and with it go the
tensors that only the tape held.
"""

from collections.abc import Callable, Sequence

import torch

from gradcheck.fronts.tape import Kind, Op, Value, existed_before

_Keep = Callable[[Value, torch.Tensor], None]


class EntryStates:
    """`ops` is the growing tape."""

    def __init__(self, ops: list[Op]) -> None:
        self._ops = ops
        self._boundary: int | None = None  # where the outermost running loop began
        self._states: dict[Value, tuple[int, torch.Tensor]] = {}  # by storage: when it was copied, the copy
        self._decided: set[Value] = set()
        self._read: set[Value] = set()  # the storages that the loop has read, by the op `_seen`
        self._seen = 0

    def loop_began(self) -> None:
        self._boundary = self._seen = len(self._ops)
        self._states.clear()
        self._decided.clear()
        self._read.clear()

    def no_more(self) -> None:
        """No training step follows."""
        self._boundary = None
        self._states.clear()
        self._decided.clear()

    def before_change(self, value: Value | None) -> None:
        """Copy what is about to be changed, if it may be a parameter: it was there before the loop, and the loop
        has read it. Once for every loop, which is enough for its first training step."""
        if value is None or self._boundary is None:
            return
        root = value.root
        if root in self._decided or root.data is not None or not existed_before(root, self._boundary):
            return
        self._decided.add(root)
        tensor = root.reference() if root.reference is not None else None
        if tensor is not None and self._was_read(root):
            self._states[root] = len(self._ops), tensor.detach().clone()

    def _was_read(self, root: Value) -> bool:
        for op in self._ops[self._seen :]:
            if op.kind in (Kind.PURE, Kind.DROPOUT):
                self._read.update(value.root for value in op.inputs)
        self._seen = len(self._ops)
        return root in self._read

    def settle(self, start: int, keep: _Keep) -> None:
        """Make leaves of what the ops from `start` on use of what was there before, and forget all ops before
        `start` that nothing needs. `keep(value, tensor)` makes `value` a leaf that is `tensor` now."""
        before, after = self._ops[:start], self._ops[start:]
        changed_before, changed_after = _changed(before), _changed(after)
        entries = dict.fromkeys(v for op in after for v in op.inputs if existed_before(v, start))
        sharing: dict[Value, int] = {}
        for value in entries:
            sharing[value.root] = sharing.get(value.root, 0) + 1
        needed: list[Value] = []
        for value in entries:
            stale = value.root in changed_before
            if value.data is not None and not stale:
                continue
            if value.root not in changed_after:
                tensor = value.reference() if value.reference is not None else None
                if tensor is not None:
                    keep(value, tensor)
                    continue
            elif value is value.root and sharing[value] == 1:
                when, state = self._states.get(value, (-1, None))
                if when >= start and state is not None:
                    value.data, value.fingerprint = state, None
                    continue
            needed.append(value)
        self._states.clear()
        _forget(before, set(entries), _led_to(before, needed))


def _changed(ops: Sequence[Op]) -> set[Value]:
    return {value.root for op in ops for value in op.mutated}


def _led_to(ops: Sequence[Op], wanted: Sequence[Value]) -> set[Op]:
    roots = {value.root for value in wanted}
    found: set[Op] = set()
    for op in reversed(ops) if roots else ():
        if any(v.root in roots for v in (*op.outputs, *op.mutated)):
            found.add(op)
            roots.update(v.root for v in op.inputs)
    return found


def _forget(ops: Sequence[Op], entries: set[Value], kept: set[Op]) -> None:
    """Empty the ops but those `kept`: their places on the tape remain. What they made is, from now on, simply there,
    and kept only if it is used again."""
    used = entries | {value for op in kept for value in (*op.inputs, *op.outputs)}
    for op in ops:
        if op in kept:
            continue
        for value in (*op.inputs, *op.outputs):
            if value not in used:
                value.producer = value.data = None
        op.empty()
