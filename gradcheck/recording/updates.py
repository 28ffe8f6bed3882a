"""Recognises parameter updates on the tape: something that existed before is moved by something computed now.

Used twice: to know that a loop trains (and so can be left after the recorded step), and to know where one
step ends and the next begins. The shape of the arithmetic decides, never a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradcheck.recording.tape import Kind, Op, Value

_SUBTRACT = {"sub", "sub_", "subtract", "subtract_", "__isub__", "__sub__"}
_ADD = {"add", "add_", "__iadd__", "__add__", "__radd__"}
_SCALE = {"mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply", "div", "true_divide", "__truediv__", "neg"}
_PASS = {"clamp", "clip", "clamp_", "clip_", "getitem", "__getitem__", "T", "data", "detach", "clone", "view", "reshape"}
_OPTIMISER = {"addcdiv_", "_foreach_addcdiv_", "_foreach_add_", "_foreach_sub_", "_foreach_addcmul_"}
_NOT_A_READ = {"data", "detach", "grad", "shape", "requires_grad_", "clone", "numel", "zeros_like", "ones_like"}


@dataclass(frozen=True, slots=True)
class Update:
    """`op` moves `parameter` by `step` (minus a multiple of a gradient, as far as arithmetic shows)."""

    op: Op
    parameter: Value
    step: Value | None
    in_place: bool


def find_updates(
    ops: Sequence[Op], start: int, stop: int | None = None, known_read: Iterable[Value] = ()
) -> list[Update]:
    """The parameter updates among `ops[start:stop]`, for parameters that existed before op `start`. Only what has
    been read before it is changed counts; `known_read` are values that were read before `start`."""
    read: set[int] = {id(value.root) for value in known_read}
    scaled_by_number: set[int] = set()  # values made by multiplying with a Python number
    negative: set[int] = set()  # ... with a negative one
    found: list[Update] = []
    for op in ops[start:stop]:
        update = _update(op, start, read, scaled_by_number, negative)
        if update is not None:
            found.append(update)
        _follow_scaling(op, scaled_by_number, negative)
        if op.kind in (Kind.PURE, Kind.DROPOUT) and op.name not in _NOT_A_READ:
            read.update(id(value.root) for value in op.inputs)
    return found


def _existed(value: Value, start: int) -> bool:
    root = value.root
    if root.autograd_of is not None:
        return False
    return root.birth <= start if root.producer is None else root.producer.index < start


def _update(op: Op, start: int, read: set[int], scaled: set[int], negative: set[int]) -> Update | None:
    name = op.name
    in_place = op.kind is Kind.MUTATE
    if in_place and name in _OPTIMISER:
        moved = [v for v in op.mutated if _existed(v, start) and id(v.root) in read]
        return Update(op, moved[0].root, None, True) if moved else None
    if name not in _SUBTRACT and name not in _ADD or len(op.args) < 2:
        return None
    left, right = op.args[0], op.args[1]
    if not isinstance(left, Value) or not isinstance(right, Value):
        return None
    if not in_place and op.kind is not Kind.PURE:
        return None
    if not _existed(left, start) or id(left.root) not in read or left.shape != right.shape:
        return None
    if right.producer is None or right.producer.index < start:
        return None
    alpha = (op.kwargs or {}).get("alpha", 1)
    downhill = name in _SUBTRACT or id(right) in negative or (isinstance(alpha, (int, float)) and alpha < 0)
    if not downhill:
        return None
    if not in_place and id(right) not in scaled and alpha == 1:
        return None
    return Update(op, left.root, right, in_place)


def _follow_scaling(op: Op, scaled: set[int], negative: set[int]) -> None:
    name = op.name
    if name in _SCALE:
        values = [a for a in op.args if isinstance(a, Value)]
        numbers = [a for a in op.args if isinstance(a, (int, float))]
        scalars = [v for v in values if v.shape == ()]
        if numbers or scalars or name == "neg":
            marked = {id(out) for out in op.outputs}
            scaled.update(marked)
            flips = (name == "neg") != any(n < 0 for n in numbers)
            if flips != any(id(v) in negative for v in values):
                negative.update(marked)
            return
    if name in _SCALE or name in _PASS:
        inputs = op.inputs
        if any(id(v) in scaled for v in inputs):
            scaled.update(id(out) for out in op.outputs)
        if any(id(v) in negative for v in inputs):
            negative.update(id(out) for out in op.outputs)
