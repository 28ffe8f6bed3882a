"""Programs that compute no loss: which one it is whose gradient their first backward line is.

`error = y - out` is, up to its sign, the gradient of half the sum of squares at `out`; at what `out` is the sigmoid or
the softmax of, it is that of a cross-entropy. What the lines behind it make of it tells which: at a moved point, the
parameters' gradients are searched among all that the program computes. No name is asked.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from gradcheck import ops
from gradcheck.fronts.gradient_names import Form, may_be_velocity, parse
from gradcheck.fronts.insertion import insert, number_op
from gradcheck.fronts.markers import Inferred, LossKind
from gradcheck.fronts.tape import Kind, Op, Recording, Value
from gradcheck.fronts.updates import UpdateFinder
from gradcheck.graph import flow
from gradcheck.judge.pairing.moved_points import Points, Snapshot
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.windows import Step, recorded_steps
from gradcheck.replay.compare import distance, inner, multiple_of, norm
from gradcheck.replay.forward import ForwardGraph
from gradcheck.replay.runner import ReplayError
from gradcheck.replay.slices import Slicer

_MOST_OPS = 20_000  # of a step in which a loss is searched for
_MOST_BEHIND = 16  # values behind an output that it may be the sigmoid of
_CLOSE = 1e-9
_SAME = 1e-7  # relative: two factors that are one
_BEFORE = (LossKind.SIGMOID, LossKind.SOFTMAX, LossKind.TANH)

Place = tuple[object, int]  # in the source: a code, and an instruction of it


@dataclass(slots=True)
class _Begin:
    """The first backward line, each time that it ran in a step: what it computed, and at which values it is the
    gradient of a loss."""

    kind: LossKind
    slope: float
    axis: int
    with_data: bool  # the output is subtracted from data, not from a number
    at: list[Value] = field(default_factory=list)
    begun: list[Snapshot] = field(default_factory=list)

    @property
    def last(self) -> int:
        return max(snapshot.after for snapshot in self.begun)


@dataclass(frozen=True, slots=True)
class _Found:
    begin: _Begin
    factor: float  # of what backward begins with, in the gradient of the loss
    parameters: int  # whose gradients are among what the program computes


def infer_losses(recording: Recording, whole: Recording, names: NameIndex, rivals: Sequence[Op]) -> bool:
    """Puts the losses on the tape of `whole`; whether there are any. `recording` is what is judged of it, which is then
    another part. `rivals` compute numbers that may be the loss: one for which as much speaks is it."""
    steps = recorded_steps(recording) or [Step(0, len(recording.ops), 0)]
    finder, slicer = UpdateFinder(recording), Slicer(recording.ops)
    known: tuple[_Found, set[Place]] | None = None
    added: list[Op] = []
    for step in steps:
        search = _Search(recording, step, finder, slicer, names)
        if known is None:
            found = search.best()
            if found is None or search.best_of(rivals, found) >= found.parameters:
                continue
            known = found, {_place(s.op) for s in found.begin.begun}
        found, places = known
        added += search.losses(found, places)
    insert(whole, added)
    return bool(added)


def _place(op: Op) -> Place:
    return op.code, op.lasti


def _exactly(factor: float) -> float:
    """One over a count is meant to be that."""
    count = round(1 / factor)
    return 1 / count if count and abs(factor * count - 1) < _SAME else factor


def _rank(found: _Found) -> tuple[int, bool]:
    return found.parameters, abs(abs(found.factor) - 1) < _SAME


def _says_nothing(parameters: set[Value]) -> bool:
    """Any number is a multiple of the derivative by one number."""
    return len(parameters) == 1 and all(math.prod(p.shape) == 1 for p in parameters)


class _Search:
    def __init__(
        self, recording: Recording, step: Step, finder: UpdateFinder, slicer: Slicer, names: NameIndex
    ) -> None:
        self._names, self._slicer = names, slicer
        self._updates = finder.between(step.begin, step.end)
        self._parameters = list(dict.fromkeys([*(u.parameter for u in self._updates), *recording.trained]))
        without = step.end - 1 if recording.trained else step.begin
        end = max((update.op.index for update in self._updates), default=without)
        self._ops = recording.ops[step.begin : end + 1]
        self._moved = flow.forward(self._ops, self._parameters, key=flow.storage)
        # What is no part of a step that moves something is no gradient that anybody uses.
        steps = {value for update in self._updates for value in update.op.inputs}
        self._used = None if recording.trained else flow.backward(self._ops, steps, key=flow.storage)
        self._points = Points(slicer, step.begin, end + 1, self._parameters, self._moved)

    def best(self) -> _Found | None:
        if not self._parameters or len(self._ops) > _MOST_OPS or not self._points.usable:
            return None
        begins = list(self._begins().values())
        tried = [*map(self._tried, begins)]
        found = [*filter(None, tried)] or [*filter(None, map(self._tried_further, begins))]
        return max(found, key=lambda f: (f.parameters, f.begin.with_data, -f.begin.last), default=None)

    def best_of(self, rivals: Sequence[Op], found: _Found) -> int:
        """The parameters whose gradients the program computes if the best of these is the loss."""
        begun = {snapshot.op for snapshot in found.begin.begun}
        tried = [self._tried_as(op, op.index, 1.0) for op in rivals if op in self._ops and op not in begun]
        votes = [votes for _, votes in filter(None, tried)]
        return max((len(v) for v in votes if not _says_nothing(v)), default=0)

    def losses(self, found: _Found, places: set[Place]) -> list[Op]:
        """The losses of this step, which is like the one that they were found in."""
        like = [
            b
            for b in self._begins().values()
            if b.kind is found.begin.kind and _place(b.begun[0].op) in places
        ]
        return [self._loss(begin, found.factor) for begin in like[:1]]

    def _loss(self, begin: _Begin, factor: float) -> Op:
        source = begin.begun[-1].op
        function = Inferred(begin.kind, factor, begin.slope, begin.axis)
        args = tuple(begin.at), tuple(s.value for s in begin.begun)
        return number_op(begin.last + 1, function, args, source)

    # -- where a backward pass may begin -----------------------------------------------------------------------------

    def _begins(self) -> dict[object, _Begin]:
        found: dict[object, _Begin] = {}
        for op in self._ops:
            for snapshot, out, slope, with_data in self._differences(op):
                for kind, at, axis in self._kinds(out, snapshot.value):
                    made = at.producer
                    key = kind, _place(op), None if made is None else _place(made), axis
                    begin = found.setdefault(key, _Begin(kind, slope, axis, with_data))
                    begin.at.append(at)
                    begin.begun.append(snapshot)
        return found

    def _differences(self, op: Op) -> Iterator[tuple[Snapshot, Snapshot, float, bool]]:
        """What `op` makes of an output of the network and of what no parameter has a part in."""
        if op.kind is Kind.MUTATE:
            for root in {value.root for value in op.mutated} & self._moved - set(self._parameters):
                before, after = self._points.before(root, op.index), Snapshot(root, op.index, op)
                slope = self._slope(before, after)
                if before is not None and slope:
                    yield after, before, slope, True
        elif op.operation in ops.ADDITIVE and isinstance(op.out, Value):
            outs = [v for v in op.args[:2] if isinstance(v, Value) and v.root in self._moved]
            # Nobody adds to an output what it should be.
            summed = op.operation is ops.ADD and len(op.inputs) == 2
            if len(outs) == 1 and outs[0].shape == op.out.shape and not summed:
                before = self._points.before(outs[0], op.index)
                after = Snapshot(op.out, op.index, op)
                slope = self._slope(before, after)
                if before is not None and slope:
                    yield after, before, slope, len(op.inputs) == 2

    def _slope(self, out: Snapshot | None, begun: Snapshot) -> float:
        """1 or -1 if the one is the other up to its sign and to what does not move; otherwise 0."""
        points = (
            [] if out is None else [(self._points.at(out, i), self._points.at(begun, i)) for i in range(3)]
        )
        if not points or any(a is None or b is None or a.shape != b.shape for a, b in points):
            return 0.0
        for slope in (1.0, -1.0):
            rests = [b - slope * a for a, b in points if a is not None and b is not None]
            size = max(norm(rest) for rest in rests) + max(norm(a) for a, _ in points if a is not None)
            if size > 0 and all(distance(rest, rests[0]) <= _CLOSE * size for rest in rests[1:]):
                return slope
        return 0.0

    def _kinds(self, out: Snapshot, begun: Value) -> Iterator[tuple[LossKind, Value, int]]:
        if out.value is not begun:
            yield LossKind.SQUARES, out.value, -1
        behind = [
            v for v in flow.ancestors(out.value) if v.root in self._moved and v.shape == out.value.shape
        ]
        for value in behind[1 : _MOST_BEHIND + 1]:
            made = Snapshot(value, value.producer.index, value.producer) if value.producer else None
            for kind in _BEFORE if made is not None and value.root is not begun.root else ():
                axes = range(-len(value.shape), 0) if kind is LossKind.SOFTMAX else (-1,)
                for axis in axes:
                    if made is not None and self._is(kind, axis, made, out):
                        yield kind, value, axis

    def _is(self, kind: LossKind, axis: int, at: Snapshot, out: Snapshot) -> bool:
        """Whether, at every point, the one is the sigmoid (or the like) of the other."""
        for i in range(3):
            argument, result = self._points.at(at, i), self._points.at(out, i)
            if argument is None or result is None:
                return False
            if kind is LossKind.SOFTMAX and argument.shape[axis] == 1:
                return False
            if not torch.allclose(kind.out(argument, axis), result, rtol=1e-6, atol=1e-9):
                return False
        return True

    # -- whether the lines behind it are the backward pass of its loss ------------------------------------------------

    def _tried(self, begin: _Begin) -> _Found | None:
        found = self._tried_as(self._loss(begin, begin.slope), begin.last, begin.slope)
        if found is None or (len(self._parameters) > 1 and _says_nothing(found[1])):
            return None
        factor, parameters = found
        if self._used is None and (_says_nothing(parameters) or 2 * len(parameters) < len(self._parameters)):
            return None  # of a layer that was handed anything: what a few numbers agree with
        if all(math.prod(p.shape) == 1 for p in parameters):
            factor = self._named_multiple(begin) or factor  # a step is a multiple by the rate as well
        return _Found(begin, factor, len(parameters))

    def _named_multiple(self, begin: _Begin) -> float:
        """By how much something that is called a gradient is what backward begins with: `dL_dout = -2 * (y - out)`."""
        begun = begin.begun[-1]
        for snapshot, _ in self._points.later(begun.after, math.prod(begun.value.shape)):
            names = self._names.bindings(snapshot.value)
            if any(parse(each.name).form is not Form.NONE for each in names):
                pairs = [(self._points.at(snapshot, i), self._points.at(begun, i)) for i in range(3)]
                ratios = [
                    multiple_of(one, other, _CLOSE * norm(one))
                    for one, other in pairs
                    if one is not None and other is not None
                ]
                if len(ratios) == 3 and max(ratios) - min(ratios) <= _SAME * abs(ratios[0]):
                    return abs(ratios[0]) * begin.slope
        return 0.0

    def _tried_further(self, begin: _Begin) -> _Found | None:
        """Where no parameter's gradient is right, the line after it may be wrong: then there is a value before the output,
        and something computed from the difference, of whose gradient theirs follow."""
        if begin.kind is not LossKind.SQUARES or len(begin.at) != 1:
            return None
        (out,), (begun,) = begin.at, begin.begun
        behind = [v for v in flow.ancestors(out) if v.root in self._moved and v.shape == out.shape]
        best: _Found | None = None
        for snapshot, _ in self._points.later(begun.after, math.prod(out.shape)):
            if snapshot.value.shape != out.shape or begun.value not in flow.ancestors(snapshot.value):
                continue
            for at in behind[1:_MOST_BEHIND]:
                further = _Begin(LossKind.SQUARES, begin.slope, -1, begin.with_data, [at], [snapshot])
                found = self._tried(further)
                if found is not None and (best is None or _rank(found) > _rank(best)):
                    best = found
        return None if best is None else _Found(begin, best.factor, best.parameters)

    def _tried_as(self, loss: Op, after: int, slope: float) -> tuple[float, set[Value]] | None:
        """The factor of it whose gradients are among what is computed after that op, and of which parameters. It is the same
        at every point. Of two, that of the gradients nearest to the loss: the others come through more lines."""
        (votes, first), (again, _) = (self._votes(loss, after, point) for point in (1, 2))
        same = {
            ratio: parameters & again[other]
            for ratio, parameters in votes.items()
            for other in again
            if abs(other - ratio) <= _SAME * ratio
        }
        factor = max(same, key=lambda ratio: (len(same[ratio]), -first[ratio]), default=0.0)
        return (_exactly(factor) * slope, same[factor]) if same.get(factor) else None

    def _votes(self, loss: Op, after: int, point: int) -> tuple[dict[float, set[Value]], dict[float, float]]:
        """By factor, of which parameters the program computes such multiples, and when something called a gradient first was
        one."""
        votes: dict[float, set[Value]] = defaultdict(set)
        first: dict[float, float] = defaultdict(lambda: math.inf)
        try:
            forward = self._slicer.slice(loss.inputs, 0, loss.index)
            moved = self._points.moved(point)
            truth = ForwardGraph([*forward, loss], loss.out, torch.float64, overrides=moved).truth
        except ReplayError:
            return votes, first
        begun = loss.args[1] if isinstance(loss.func, Inferred) else self._parameters
        below = flow.forward(self._ops, begun, key=flow.storage)
        below = below if self._used is None else below & self._used
        for parameter in self._parameters:
            expected = truth.get(parameter)
            if expected is not None and norm(expected) > 0:
                for ratio, when in self._multiples(below - {parameter.root}, expected, after, point):
                    known = next((known for known in votes if abs(known - ratio) <= _SAME * known), ratio)
                    votes[known].add(parameter)
                    first[known] = min(first[known], when)
        return votes, first

    def _multiples(
        self, among: set[Value], expected: torch.Tensor, after: int, point: int
    ) -> list[tuple[float, float]]:
        """How often the gradient is in each of its multiples that the program computes in these storages; of those with a
        name, if any has one. (Any number is a multiple of another.) And when, if the name is that of a gradient."""
        named: list[tuple[float, float]] = []
        unnamed: list[tuple[float, float]] = []
        size = norm(expected) ** 2
        for snapshot, tensor in self._points.later(after, expected.numel(), point):
            ratio = inner(tensor.reshape(-1), expected.reshape(-1)) / size
            off = distance(tensor.reshape(-1), ratio * expected.reshape(-1))
            if ratio and off <= _CLOSE * norm(tensor) and snapshot.value.root in among:
                called = [b.name for b in self._names.bindings(snapshot.value)]
                is_gradient = any(parse(n).form is not Form.NONE and not may_be_velocity(n) for n in called)
                when = snapshot.after if is_gradient else math.inf
                (named if called else unnamed).append((abs(ratio), when))
        if expected.numel() == 1:
            return [*named, *unnamed]
        gradients = sorted((each for each in named if each[1] < math.inf), key=lambda each: each[1])
        return gradients[-1:] or named or unnamed  # `dW /= m`: as it is in the end
