"""The usual test of a layer computes no loss: `out = f(x)`, `dout = randn(*out.shape)`, `dx = backward(dout)`.

What is drawn and is called a gradient is that of a result. Of which one, the numbers say: the gradients of
`(out * dout).sum()` are among what is called a gradient.
"""

from collections.abc import Iterator
from itertools import islice, product

import torch

from gradcheck import ops
from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.insertion import insert, number_op
from gradcheck.fronts.markers import with_given_upstream
from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.fronts.updates import UpdateFinder
from gradcheck.graph import flow
from gradcheck.judge.pairing.windows import recorded_steps
from gradcheck.ops import Family
from gradcheck.replay.compare import differentiable, distance, norm
from gradcheck.replay.forward import ForwardGraph
from gradcheck.replay.runner import ReplayError, Runner, attempted
from gradcheck.replay.slices import Slicer, roots_mutated

_MOST_OPS = 20_000
_MOST_RESULTS, _MOST_TRIED, _MOST_TESTS = 6, 16, 40
_CLOSE = 1e-9
_COPIES = ops.NO_COMPUTATION | {ops.CAST}
_LEAVES = (Family.DRAW, Family.CONSTANT)

Results = tuple[tuple[Value, Value], ...]  # each with what is drawn as its gradient


def give_upstream(recording: Recording, whole: Recording) -> bool:
    """Puts the losses on the tape of `whole`, of a program that moves nothing; whether there are any."""
    ops = recording.ops
    moves = bool(recorded_steps(recording)) or any(True for _ in UpdateFinder(recording).between(0, len(ops)))
    if moves or len(ops) > _MOST_OPS:
        return False
    try:
        search = _Search(recording)
    except (ReplayError, RuntimeError):
        return False
    added = [_loss(results) for results in islice(search.found(), _MOST_TESTS)]
    insert(whole, added)
    return bool(added)


def _loss(results: Results) -> Op:
    last = max((v.producer for pair in results for v in pair if v.producer), key=lambda op: op.index)
    outs, given = zip(*results, strict=True)
    return number_op(last.index + 1, with_given_upstream, (outs, given), last)


class _Search:
    def __init__(self, recording: Recording) -> None:
        self._ops = recording.ops
        self._slicer = Slicer(recording.ops)
        runner = Runner(torch.float64)
        runner.run(recording.ops)
        named = {b.value for b in recording.bindings if parse(b.name).form is not Form.NONE}
        self._written = roots_mutated(self._ops)
        self._bound = {binding.value for binding in recording.bindings}
        self._named = named | recording.gradient_named
        self._gradients = [(v, t.detach()) for v in self._named if (t := runner.env.get(v)) is not None]

    def found(self) -> Iterator[Results]:
        """One for each test, in the order of the program."""
        drawn = [op.out for op in self._ops if self._is_drawn(op)]
        reached = {given: flow.forward(self._ops, [given], key=flow.storage) for given in drawn}
        tests: dict[frozenset[Value], list[Value]] = {}
        for given in drawn:
            of = frozenset(v for v, _ in self._gradients if v.root in reached[given] and v is not given)
            if of:
                together = next((known for known in tests if known & of), frozenset[Value]())
                tests[together | of] = [*tests.pop(together, []), given]
        for of, given in tests.items():
            last = max(v.producer.index for v in of if v.producer is not None)
            backward = set().union(*(reached[each] for each in given))
            choices = [list(self._results(each, backward, last)) for each in given]
            best: tuple[int, Results] = 0, ()
            for chosen in islice(product(*choices), _MOST_TRIED):
                results = tuple(zip(chosen, given, strict=True))
                best = max(best, (self._explained(results, of), results), key=lambda tried: tried[0])
            if best[0]:
                yield best[1]

    def _is_drawn(self, op: Op) -> bool:
        """Or a copy of what is drawn; a buffer that results are written to is no gradient that is given."""
        value, made = op.out, op
        while made.operation in _COPIES and made.inputs and (before := made.inputs[0].producer) is not None:
            made = before
        drawn = isinstance(value, Value) and made.operation.family in _LEAVES and value in self._named
        return drawn and value.root not in self._written

    def _results(self, given: Value, backward: set[Value], last: int) -> Iterator[Value]:
        """What has a name and may be the result that it is the gradient of, those that nothing else reads first, the
        latest first."""
        read = {value.root for op in self._ops[:last] for value in op.inputs if op.out not in backward}
        made = [
            op.out
            for op in reversed(self._ops[:last])
            if isinstance(op.out, Value)
            and op.out.producer is op
            and op.out.shape == given.shape
            and op.operation.family not in _LEAVES
            and op.out in self._bound
            and op.out.root not in backward
        ]
        made.sort(key=lambda value: value.root in read)
        return islice(iter(made), _MOST_RESULTS)

    def _explained(self, results: Results, of: frozenset[Value]) -> int:
        """How many of the gradients are one of that loss, and not what was given of it."""
        loss = _loss(results)
        ops = [*self._slicer.slice(loss.inputs, 0, loss.index), loss]
        truth = attempted(lambda: ForwardGraph(ops, loss.out, torch.float64).truth)
        if truth is None:
            return 0
        trivial = {value.root for value, _ in results}
        expected = [
            g for v, g in truth.items() if v.root not in trivial and differentiable(g) and norm(g) > 0
        ]
        return sum(
            any(g.shape == found.shape and distance(found, g) <= _CLOSE * norm(g) for g in expected)
            for value, found in self._gradients
            if value in of and differentiable(found)
        )
