"""The linear map that a value was computed with: its weight, its inputs, and along which axis its units lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.health.network.elementwise import plain_name

_CONVOLUTIONS = {"conv1d", "conv2d", "conv3d", "convolution"}
_PRODUCTS = {"matmul", "rmatmul", "mm", "bmm", "mv", "dot"}
_ADDED_PRODUCTS = {"addmm", "baddbmm", "addmv"}
_OTHERS = {"linear", "einsum", "tensordot", "embedding_bag"}
LINEAR = _CONVOLUTIONS | _PRODUCTS | _ADDED_PRODUCTS | _OTHERS
_REDUCTIONS = {"mean", "var", "std", "sum", "var_mean", "std_mean"}
_NORMALISATIONS = {"batch_norm", "layer_norm", "group_norm", "instance_norm"}
_REARRANGES = {
    "T", "mT", "t", "transpose", "swapaxes", "view", "reshape", "permute", "contiguous", "to", "float", "double",
    "detach", "data", "squeeze", "unsqueeze", "clone", "flatten", "requires_grad", "movedim",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Linear:
    """`weight` is the parameter (not a transposed view of it), `data` what it is applied to. `axis` counts from the
    end for a product. `normalised` says that what came out was normalised before the value in question."""

    op: Op
    weight: Value | None
    data: Value | None
    axis: int | None
    fan_in: int | None
    normalised: bool = False

    @property
    def is_product(self) -> bool:
        """Whether it is one matrix times `data`."""
        return plain_name(self.op) in _PRODUCTS | _ADDED_PRODUCTS | {"linear"}


class Ancestry:
    """Answers what a value of a stretch was computed from. `parameters` are storages; if none are known, any leaf
    may be one."""

    def __init__(self, ops: Sequence[Op], parameters: Collection[Value]) -> None:
        self._writers: dict[Value, list[Op]] = defaultdict(list)
        self._readers: dict[Value, list[Op]] = defaultdict(list)
        self._parameters = {value.root for value in parameters}
        self._made: set[Value] = set()  # storages that came into being here
        for op in ops:
            if op.kind is Kind.ESCAPE:
                continue
            self._made.update(v for v in op.outputs if v.root is v and v.producer is op)
            for root in {value.root for value in (*op.outputs, *op.mutated)}:
                self._writers[root].append(op)
            for root in {value.root for value in op.inputs}:
                self._readers[root].append(op)

    def is_parameter(self, value: Value) -> bool:
        if self._parameters:
            return value.root in self._parameters
        return value.root not in self._made and len(value.shape) > 0

    def before(self, op: Op) -> Iterator[Op]:
        """The ops that what `op` reads was computed by, the nearest first."""
        yield from self.makers([value.root for value in op.inputs], op.index)

    def makers(self, roots: Sequence[Value], before: int, stop: Collection[Op] = frozenset()) -> Iterator[Op]:
        """Breadth first; those in `stop` are given, and nothing beyond them."""
        pending, seen = [(root, before) for root in roots], set()
        while pending:
            following: list[tuple[Value, int]] = []
            for root, moment in pending:
                for op in reversed(self._writers.get(root, ())):
                    if op.index >= moment or op in seen:
                        continue
                    seen.add(op)
                    yield op
                    if op in stop:
                        continue
                    following.extend((value.root, op.index) for value in op.inputs)
                    if any(value.root is value and value.root is root for value in op.outputs):
                        break  # made here: earlier writes are of another
            pending = following

    def parameters_of(self, value: Value, before: int, stop: Collection[Op]) -> frozenset[Value]:
        """The parameters between a value and the ops in `stop`."""
        found = {value.root} if self.is_parameter(value) else set()
        for op in self.makers([value.root], before, stop):
            if op not in stop:
                found.update(v.root for v in op.inputs if self.is_parameter(v))
        return frozenset(found)

    def reaches_parameters(self, value: Value, after: int) -> bool:
        """Whether anything computed from `value` meets a product or another parameter: a layer follows."""
        pending, seen = [(value.root, after)], set()
        while pending:
            root, moment = pending.pop()
            for op in self._readers.get(root, ()):
                if op.index <= moment or op in seen:
                    continue
                seen.add(op)
                name = plain_name(op)
                if name in LINEAR:
                    return True
                if self._parameters and any(v.root in self._parameters for v in op.inputs):
                    return True
                pending.extend((out.root, op.index) for out in (*op.outputs, *op.mutated))
        return False

    def linear_behind(self, value: Value, before: int, stop: Collection[Op]) -> Linear | None:
        """The nearest linear map that `value` was computed by."""
        makers = list(self.makers([value.root], before, stop))
        nearest = next((op for op in makers if op not in stop and plain_name(op) in LINEAR), None)
        if nearest is None:
            return None
        since = {plain_name(op) for op in makers if op.index > nearest.index}
        return self._linear(nearest, bool(since & (_REDUCTIONS | _NORMALISATIONS)))

    def _linear(self, op: Op, normalised: bool) -> Linear:
        name = plain_name(op)
        operands = [value for value in op.args if isinstance(value, Value)]
        if name in _ADDED_PRODUCTS:
            operands = operands[1:]
        if name == "rmatmul":
            operands.reverse()
        if len(operands) < 2:
            return Linear(op, None, None, None, None, normalised)
        left, right = operands[:2]
        if name == "linear":
            return Linear(op, self._parameter(right), left, -1, right.shape[-1], normalised)
        if name in _CONVOLUTIONS:
            return Linear(op, self._parameter(right), left, 1, _product(right.shape[1:]), normalised)
        of_left, of_right = self._parameter(left), self._parameter(right)
        if name not in _PRODUCTS and name not in _ADDED_PRODUCTS:
            weight = of_left if of_right is None else of_right
            return Linear(op, weight, left if weight is of_right else right, None, None, normalised)
        if of_left is not None and of_right is None and len(left.shape) > 1:
            axis = -2 if len(right.shape) > 1 else -1
            return Linear(op, of_left, right, axis, left.shape[-1], normalised)
        fan_in = right.shape[-2] if len(right.shape) > 1 else None
        return Linear(op, of_right, left, -1, fan_in, normalised)

    def _parameter(self, value: Value) -> Value | None:
        """The parameter that `value` is, or is a view or a rearranged copy of."""
        for _ in range(16):
            if self.is_parameter(value):
                return value.root
            maker = value.producer
            if maker is None or plain_name(maker) not in _REARRANGES or not maker.args:
                return None
            source = maker.args[0]
            if not isinstance(source, Value):
                return None
            value = source
        return None


def layer_key(parameters: frozenset[Value], op: Op) -> tuple[object, ...]:
    """The same for one layer that is applied several times, as over the steps of a sequence."""
    return (op.code, op.lasti, parameters)


def _product(shape: Sequence[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
