"""Recognises parameter updates on the tape: something that existed before is moved by something computed now.

Used twice: to know that a loop trains (and so can be left after the recorded step), and to know where one
step ends and the next begins. What counts as moving downhill (`p -= lr * g`, `p.add_(v, alpha=-lr)`) is seen from the
arithmetic; where it adds (`W += lr * delta`), from what was added being computed from a value named as a gradient, or
from its form: of `z = W @ x`, the gradient by `W` is a product of `x` with something computed from `z`.

The ops are followed once. What makes an op an update depends on where one begins to look (a parameter existed
before, its step was computed since): so for each op that may be one, it is kept *when* the last thing happened that
speaks for it, and any number of windows can be asked about without following the ops again.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Recording, Value, existed_before
from gradcheck.ops import Family

_HANDS_ON = (Family.SAME, Family.LAYOUT, Family.GATHER)  # a step that is picked or clipped is still a step
_PICKS = (Family.GATHER, Family.LAYOUT)  # who reads their result reads what it is picked from
_MOST_FACTORS = 6  # of a step
_OPTIMISER = frozenset({ops.OPTIMISER_STEP, ops.ADDCDIV})


@dataclass(frozen=True, slots=True)
class Update:
    """`op` moves `parameter` by `step` (minus a multiple of a gradient, as far as arithmetic shows)."""

    op: Op
    parameter: Value
    step: Value | None
    in_place: bool

    @property
    def arithmetic(self) -> Op:
        """What adds or subtracts the step, if something does."""
        return _arithmetic(self.op)


@dataclass(frozen=True, slots=True)
class _Possible:
    """An op that moves `moved`; whether that is an update, its window says. The numbers are indices of ops, -1 for
    what never happened."""

    op: Op
    moved: Value
    step: Value | None
    in_place: bool
    read_at: int  # the storage of `moved` was read by a computation
    step_changed_at: int  # the storage of `step` was changed in place
    subtracts: bool  # by the operation itself
    step_negative_at: int  # `step` was made negative
    scales: bool  # by the operation itself
    step_scaled_at: int  # `step` was multiplied by a number
    gradient_at: int  # something named as a gradient went into `step`, or it has the form of one
    kept: bool  # `step` is what is left to go from `moved` to something else: `m += 0.1 * (x - m)`


class UpdateFinder:
    """The parameter updates among the ops from `first` on."""

    def __init__(self, recording: Recording, first: int = 0) -> None:
        self._gradient_named = recording.gradient_named
        self._read_at: dict[Value, tuple[int, int]] = {}  # by storage, the last time and the one before
        # By storage, whose numbers it holds, and since when.
        self._picked_from: dict[Value, tuple[int, list[Value]]] = {}
        self._changed_at: dict[Value, int] = {}
        self._scaled_at: dict[Value, int] = {}  # made by multiplying with a Python number
        self._negative_at: dict[Value, int] = {}  # ... with a negative one, or by subtracting
        self._gradient_at: dict[Value, int] = {}  # computed from something named as a gradient
        # By the storages of two factors, products of them.
        self._multiplied: dict[tuple[Value, Value], list[Value]] = {}
        self._formed_at = -1  # the last step in which something was added that has the form of a gradient
        self._possible: list[_Possible] = []
        self._places: list[int] = []  # of each possible one
        self._by_op: dict[int, list[_Possible]] = {}
        self._ops, self._first = recording.ops, first
        for index in range(first, len(self._ops)):
            op = self._ops[index]
            possible = self._possibly(op)
            if possible:
                self._possible += possible
                self._places += [op.index] * len(possible)
                self._by_op[op.index] = possible
            self._follow(op)

    def between(
        self, start: int, stop: int | None = None, known_read: Collection[Value] = ()
    ) -> list[Update]:
        """The updates among the ops `start` to `stop`, of parameters that existed before op `start`. Only what
        has been read before it is changed counts; the storages `known_read` were read before `start`."""
        found: list[Update] = []
        places = self._places
        last = len(places) if stop is None else bisect_left(places, stop)
        for possible in self._possible[bisect_left(places, start) : last]:
            if (not found or found[-1].op is not possible.op) and self._is_one(possible, start, known_read):
                found.append(Update(possible.op, possible.moved.root, possible.step, possible.in_place))
        return found

    def is_update(self, op: Op, start: int, known_read: Collection[Value] = ()) -> bool:
        """Whether `op` is among the updates from `start` on."""
        return any(self._is_one(possible, start, known_read) for possible in self._by_op.get(op.index, ()))

    def may_be_update(self, op: Op) -> bool:
        return op.index in self._by_op

    def _is_one(self, possible: _Possible, start: int, known_read: Collection[Value]) -> bool:
        moved, step = possible.moved, possible.step
        if not self._existed(moved, start):
            return False
        if possible.read_at < start and moved.root not in known_read:
            return False
        if step is None:
            return True
        if possible.step_changed_at < start and (step.producer is None or step.producer.index < start):
            return False  # not computed in the window
        if possible.gradient_at >= start:
            return True
        downhill = possible.subtracts or possible.step_negative_at >= start
        # Where others are moved by adding what has the form of a gradient, so are biases.
        known = downhill or (self._formed_at >= start and not possible.kept)
        return known and (possible.in_place or possible.scales or possible.step_scaled_at >= start)

    def _existed(self, value: Value, start: int) -> bool:
        root = value.root
        if root.autograd_of is not None or root in self._gradient_named or value in self._gradient_named:
            return False
        return existed_before(root, start)

    def _possibly(self, op: Op) -> list[_Possible]:
        operation = op.operation
        in_place = op.kind is Kind.MUTATE
        if in_place and operation in _OPTIMISER:
            return [
                _Possible(op, v, None, True, self._read_before(v, op), -1, False, -1, False, -1, -1, False)
                for v in op.mutated
            ]
        by = _arithmetic(op)
        operation = by.operation
        if operation not in ops.ADDITIVE or (by.operation is ops.SUB and by.reverse) or len(by.args) < 2:
            return []
        left, right = by.args[0], by.args[1]
        if not isinstance(left, Value) or not isinstance(right, Value):
            return []
        if _without_ones(left.shape) != _without_ones(right.shape):
            return []
        if not in_place and op.kind is not Kind.PURE:
            return []
        alpha = (op.kwargs or {}).get("alpha", 1)
        moved = left if by is op else op.args[0]
        made = self._behind_scaling(right)
        gradient_at = self._gradient_at.get(right.root, -1)
        if gradient_at < 0 and any(self._has_form_of_gradient(each, moved.root) for each in made):
            gradient_at = self._formed_at = op.index
        return [
            _Possible(
                op,
                moved,
                right,
                in_place,
                self._read_before(moved, by),
                self._changed_at.get(right.root, -1),
                operation is ops.SUB or (isinstance(alpha, (int, float)) and alpha < 0),
                self._negative_at.get(right, -1),
                alpha != 1,
                self._scaled_at.get(right, -1),
                gradient_at,
                any(value.root is moved.root for each in made for value in each.inputs),
            )
        ]

    def _behind_scaling(self, step: Value) -> list[Op]:
        """What made it, the last one first: multiplications with numbers, arrangements, and what is behind those."""
        found: list[Op] = []
        while (op := step.producer) is not None and op.index >= self._first and len(found) < _MOST_FACTORS:
            found.append(op)
            arranges = op.operation.family in (*_HANDS_ON, Family.REDUCTION)
            tensors = [value for value in op.inputs if value.shape != ()]
            if len(tensors) != 1 or not (arranges or op.operation in ops.SCALING):
                break
            step = tensors[0]
        return found

    def _has_form_of_gradient(self, made: Op, moved: Value) -> bool:
        """Whether it is a product of a factor of `moved` with something computed from their product."""
        if not _multiplies(made):
            return False
        first, second = made.inputs
        return any(
            self._is_computed_from(other.root, product.root, made.index)
            for factor, other in ((first, second), (second, first))
            for product in self._multiplied.get((moved, factor.root), ())
        )

    def _is_computed_from(self, value: Value, source: Value, before: int) -> bool:
        needed = {value}
        for op in reversed(self._ops[self._first : before]):
            if source in needed:
                return True
            if any(touched.root in needed for touched in (*op.outputs, *op.mutated)):
                needed.update(read.root for read in op.inputs)
        return source in needed

    def _follow(self, op: Op) -> None:
        index = op.index
        inputs = op.inputs
        if _multiplies(op) and isinstance(op.out, Value):
            first, second = inputs[0].root, inputs[1].root
            for pair in {(first, second), (second, first)}:
                self._multiplied.setdefault(pair, []).append(op.out)
        ignores_numbers = op.operation in ops.NO_COMPUTATION or op.operation.family in (
            Family.QUERY,
            Family.CONSTANT,
        )
        if op.kind in (Kind.PURE, Kind.DROPOUT) and not ignores_numbers:  # the numbers of its operands matter
            if op.operation.family in _PICKS:
                made = [value.root for value in op.outputs if value.root is value]
                self._picked_from.update({root: (index, [value.root for value in inputs]) for root in made})
            else:
                self._read([value.root for value in inputs], index)
        mutated = op.mutated
        if op.kind is Kind.MUTATE:
            for value in mutated:
                self._changed_at[value.root] = index
        touched = [*op.outputs, *mutated]
        gradient_at = -1
        for value in inputs:
            if value in self._gradient_named:
                gradient_at = index
                break
            gradient_at = max(gradient_at, self._gradient_at.get(value.root, -1))
        if gradient_at >= 0:
            for value in touched:
                self._gradient_at[value.root] = max(gradient_at, self._gradient_at.get(value.root, -1))
        self._follow_scaling(op, inputs, touched)

    def _read_before(self, value: Value, by: Op) -> int:
        """When a computation last read it, but for reading the element that `by` computes the new one of."""
        last, before = self._read_at.get(value.root, (-1, -1))
        old = by.args[0].producer if by.args and isinstance(by.args[0], Value) else None
        return before if old is not None and last == old.index else last

    def _read(self, roots: Sequence[Value], index: int) -> None:
        """What is picked of a storage, and read then, was read when it was picked."""
        for root in roots:
            last, before = self._read_at.get(root, (-1, -1))
            if index not in (last, before):
                self._read_at[root] = max(index, last), sorted((index, last, before))[1]
                picked, of = self._picked_from.get(root, (-1, ()))
                self._read(of, picked)

    def _follow_scaling(self, op: Op, inputs: list[Value], touched: list[Value]) -> None:
        operation = op.operation
        subtracts = operation is ops.SUB and not op.reverse
        taken = op.args[1] if subtracts and len(op.args) > 1 else None
        if isinstance(taken, Value) and taken in self._scaled_at:
            scaled_at = self._scaled_at[taken]
            _note(self._scaled_at, touched, scaled_at)
            _note(self._negative_at, touched, scaled_at)
            return
        scales = operation in ops.SCALING and not (operation is ops.DIV and op.reverse)
        if not scales and operation.family not in _HANDS_ON and operation is not ops.CLAMP:
            return
        negative_at = max((self._negative_at.get(v, -1) for v in inputs), default=-1)
        if scales:
            numbers = [a for a in op.args if isinstance(a, (int, float))]
            negates = operation is ops.NEG
            if numbers or negates or any(v.shape == () for v in inputs):
                _note(self._scaled_at, touched, op.index)
                flips = negates != any(n < 0 for n in numbers)
                if flips != (negative_at >= 0):
                    _note(self._negative_at, touched, op.index if flips else negative_at)
                return
        _note(self._scaled_at, touched, max((self._scaled_at.get(v, -1) for v in inputs), default=-1))
        _note(self._negative_at, touched, negative_at)


def _arithmetic(op: Op) -> Op:
    """The op itself; of `w[j] -= lr * g[j]`, where `w[j]` is a number and no view, what computes the new number."""
    if op.operation is not ops.SETITEM or len(op.args) < 3 or not isinstance(op.args[2], Value):
        return op
    made = op.args[2].producer
    old = made.args[0] if made is not None and made.args else None
    item = old.producer if isinstance(old, Value) else None
    return made if made is not None and item is not None and item.inputs[:1] == [op.args[0]] else op


def _without_ones(shape: Sequence[int]) -> list[int]:
    """`b` of shape (1, 4) is moved by a step of shape (4,)."""
    return [n for n in shape if n != 1]


def _multiplies(op: Op) -> bool:
    return len(op.inputs) == 2 and (op.operation is ops.MUL or op.operation.family is Family.PRODUCT)


def _note(moments: dict[Value, int], values: list[Value], when: int) -> None:
    if when >= 0:
        for value in values:
            moments[value] = max(when, moments.get(value, -1))
