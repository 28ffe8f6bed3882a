"""The linear map that a value was computed with: its weight, its inputs, and along which axis its units lie."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.history import History
from gradcheck.graph.match.products import LinearMap, is_linear_map, linear_map, multiplies_matrices
from gradcheck.graph.match.rows import behind
from gradcheck.ops import Family


class Ancestry:
    """Answers what a value of a stretch was computed from. `parameters` are storages; if none are known, any leaf
    may be one."""

    def __init__(self, ops: Sequence[Op], parameters: Collection[Value]) -> None:
        self._history = History(ops)
        self._parameters = {value.root for value in parameters}

    def is_parameter(self, value: Value) -> bool:
        if self._parameters:
            return value.root in self._parameters
        return value.root not in self._history.made and len(value.shape) > 0

    def makers(self, roots: Sequence[Value], before: int, stop: Collection[Op]) -> Iterator[Op]:
        return self._history.makers(roots, before, stop)

    def parameters_of(self, value: Value, before: int, stop: Collection[Op]) -> frozenset[Value]:
        """The parameters between a value and the ops in `stop`."""
        found = {value.root} if self.is_parameter(value) else set()
        for op in self.makers([value.root], before, stop):
            if op not in stop:
                found.update(v.root for v in op.inputs if self.is_parameter(v))
        return frozenset(found)

    def reaches_parameters(self, value: Value, after: int) -> bool:
        """Whether anything computed from `value` meets a product or another parameter: a layer follows."""
        return any(
            is_linear_map(op) or (self._parameters and any(v.root in self._parameters for v in op.inputs))
            for op in self._history.users(value, after)
        )

    def linear_behind(self, value: Value, before: int, stop: Collection[Op]) -> tuple[LinearMap | None, bool]:
        """The nearest linear map that `value` was computed by, and whether its result was normalised since."""
        makers = list(self.makers([value.root], before, stop))
        nearest = next((op for op in makers if op not in stop and is_linear_map(op)), None)
        if nearest is None:
            return None, False
        since = {op.operation.family for op in makers if op.index > nearest.index}
        normalised = not since.isdisjoint((Family.REDUCTION, Family.NORMALISATION))
        return linear_map(nearest, self._parameter), normalised

    def _parameter(self, value: Value) -> Value | None:
        """The parameter that `value` is, or is a view or a rearranged copy of."""
        same = behind(value, lambda op: op.operation.keeps_numbers)
        return next((v.root for v in same if self.is_parameter(v)), None)


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """A weight matrix times something. `read` is the matrix as the product reads it (a view of `weight`, or itself), unit
    i is number i along `read_axis` of it and along `axis` of `out`."""

    op: Op
    out: Value
    weight: Value
    read: Value
    read_axis: int
    axis: int


def linear_layers(ops: Sequence[Op], parameters: Iterable[Value]) -> list[LinearLayer]:
    """In the order of the program."""
    by_root = {p.root: p for p in parameters if len(p.shape) >= 2}

    def matrix(value: Value) -> Value | None:
        return by_root.get(value.root) if len(value.shape) == 2 else None

    layers = []
    for op in ops:
        found = linear_map(op, matrix) if multiplies_matrices(op) and isinstance(op.out, Value) else None
        if found is not None and found.weight is not None:
            assert found.read is not None
            assert found.axis is not None
            layers.append(LinearLayer(op, op.out, found.weight, found.read, found.read_axis, found.axis))
    return layers
