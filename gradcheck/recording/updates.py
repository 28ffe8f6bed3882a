"""Recognises parameter updates on the tape: something that existed before is moved by something computed now.

Used twice: to know that a loop trains (and so can be left after the recorded step), and to know where one
step ends and the next begins. What counts as moving downhill (`p -= lr * g`, `p.add_(v, alpha=-lr)`) is seen from the
arithmetic; where it adds (`W += lr * delta`), from what was added being computed from a value named as a gradient.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradcheck.recording.tape import Kind, Op, Recording, Value

_SUBTRACT = {"sub", "sub_", "subtract", "subtract_", "__isub__", "__sub__"}
_ADD = {"add", "add_", "__iadd__", "__add__", "__radd__"}
_SCALE = {
    "mul",
    "mul_",
    "__mul__",
    "__rmul__",
    "__imul__",
    "multiply",
    "div",
    "true_divide",
    "__truediv__",
    "neg",
}
_PASS = {
    "clamp",
    "clip",
    "clamp_",
    "clip_",
    "getitem",
    "__getitem__",
    "T",
    "data",
    "detach",
    "clone",
    "view",
    "reshape",
}
_OPTIMISER = {"addcdiv_", "_foreach_addcdiv_", "_foreach_add_", "_foreach_sub_", "_foreach_addcmul_"}
_NOT_A_READ = {
    "data",
    "detach",
    "grad",
    "shape",
    "requires_grad_",
    "clone",
    "numel",
    "zeros_like",
    "ones_like",
}


@dataclass(frozen=True, slots=True)
class Update:
    """`op` moves `parameter` by `step` (minus a multiple of a gradient, as far as arithmetic shows)."""

    op: Op
    parameter: Value
    step: Value | None
    in_place: bool


def find_updates(
    recording: Recording, start: int, stop: int | None = None, known_read: Iterable[Value] = ()
) -> list[Update]:
    """The parameter updates among the ops `start` to `stop`, for parameters that existed before op `start`. Only
    what has been read before it is changed counts; `known_read` are values that were read before `start`."""
    return _Search(recording.gradient_named, start, known_read).among(recording.ops[start:stop])


class _Search:
    """What one pass over the ops has to remember."""

    def __init__(self, gradient_named: set[Value], start: int, known_read: Iterable[Value]) -> None:
        self._start = start
        self._gradient_named = gradient_named
        self._read: set[Value] = {value.root for value in known_read}
        self._scaled: set[Value] = set()  # made by multiplying with a Python number
        self._negative: set[Value] = set()  # ... with a negative one, or by subtracting
        self._carries_gradient: set[Value] = set()  # computed from something named as a gradient
        self._changed: set[Value] = set()  # changed in place within these ops

    def among(self, ops: Iterable[Op]) -> list[Update]:
        found: list[Update] = []
        for op in ops:
            update = self._update(op)
            if update is not None:
                found.append(update)
            self._follow(op)
        return found

    def _existed(self, value: Value) -> bool:
        root = value.root
        if root.autograd_of is not None or root in self._gradient_named or value in self._gradient_named:
            return False
        return root.birth <= self._start if root.producer is None else root.producer.index < self._start

    def _computed_here(self, value: Value) -> bool:
        if value.root in self._changed:
            return True
        return value.producer is not None and value.producer.index >= self._start

    def _update(self, op: Op) -> Update | None:
        name = op.name
        in_place = op.kind is Kind.MUTATE
        if in_place and name in _OPTIMISER:
            moved = [v for v in op.mutated if self._existed(v) and v.root in self._read]
            return Update(op, moved[0].root, None, True) if moved else None
        if (name not in _SUBTRACT and name not in _ADD) or len(op.args) < 2:
            return None
        left, right = op.args[0], op.args[1]
        if not isinstance(left, Value) or not isinstance(right, Value):
            return None
        if not in_place and op.kind is not Kind.PURE:
            return None
        if not self._existed(left) or left.root not in self._read or left.shape != right.shape:
            return None
        if not self._computed_here(right):
            return None
        alpha = (op.kwargs or {}).get("alpha", 1)
        downhill = (
            name in _SUBTRACT or right in self._negative or (isinstance(alpha, (int, float)) and alpha < 0)
        )
        scaled = right in self._scaled or alpha != 1
        if (downhill and (in_place or scaled)) or right.root in self._carries_gradient:
            return Update(op, left.root, right, in_place)
        return None

    def _follow(self, op: Op) -> None:
        if op.kind in (Kind.PURE, Kind.DROPOUT) and op.name not in _NOT_A_READ:
            self._read.update(value.root for value in op.inputs)
        if op.kind is Kind.MUTATE:
            self._changed.update(value.root for value in op.mutated)
        touched = [*op.outputs, *op.mutated]
        if any(v.root in self._carries_gradient or v in self._gradient_named for v in op.inputs):
            self._carries_gradient.update(v.root for v in touched)
        self._follow_scaling(op, touched)

    def _follow_scaling(self, op: Op, touched: list[Value]) -> None:
        name = op.name
        inputs = op.inputs
        if (
            name in _SUBTRACT
            and len(op.args) > 1
            and isinstance(op.args[1], Value)
            and op.args[1] in self._scaled
        ):
            self._scaled.update(touched)
            self._negative.update(touched)
        elif name in _SCALE:
            numbers = [a for a in op.args if isinstance(a, (int, float))]
            if numbers or name == "neg" or any(v.shape == () for v in inputs):
                self._scaled.update(touched)
                flips = (name == "neg") != any(n < 0 for n in numbers)
                if flips != any(v in self._negative for v in inputs):
                    self._negative.update(touched)
                return
        if name in _SCALE or name in _PASS:
            if any(v in self._scaled for v in inputs):
                self._scaled.update(touched)
            if any(v in self._negative for v in inputs):
                self._negative.update(touched)
