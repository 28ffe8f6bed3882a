"""Which product a gradient belongs to, by its place in the dataflow: `x.T @ d` and `d @ w.T` read what `x @ w` read.

Nothing here looks at numbers: the gradient may be wrong.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph import flow
from gradcheck.ops import Family
from gradcheck.replay.passes import PassPlan

_MOST = 4  # factors of a slope
_PRODUCTS = frozenset({ops.MATMUL, ops.LINEAR})


class Products:
    """Those of the forward pass, and the lines of `tape` that may compute gradients with their operands."""

    def __init__(self, plan: PassPlan, tape: list[Op]) -> None:
        self._readers = flow.readers(plan.forward_ops)
        self._later = flow.readers(tape[plan.start : max(plan.stop, plan.last_op + 1)])
        self._with: dict[Hashable, list[Op]] = defaultdict(list)
        # What is changed in place later on has one gradient before and another one after.
        changed = {value.root for op in plan.forward_ops for value in op.mutated}
        for op in plan.forward_ops:
            if op.operation in _PRODUCTS and op.out.root not in changed:
                for key in {_identity(value) for value in op.inputs[:2]}:
                    self._with[key].append(op)

    def is_shared(self, value: Value) -> bool:
        return len(self._readers.get(value, ())) > 1

    def operands_of(self, gradient: Value) -> set[Value]:
        """Of `d @ w.T`: what the forward pass multiplies with `w`, whose gradient it is by its making."""
        made = gradient.producer
        if made is None or made.operation not in _PRODUCTS:
            return set()
        return {
            value
            for read in made.inputs[:2]
            for product in self._with.get(_identity(read), ())
            for value in product.inputs[:2]
            if _identity(value) != _identity(read)
        }

    def belongs_to(self, gradient: Value, after: int, least: int, *, may_be_slope: bool) -> Value | None:
        """The value whose gradient it is used as, if there is one only, by `least` or more of the operands. What may be
        the slope of `d * slope` itself has no place of its own there."""
        found = self._of_product(gradient, after, least)
        return found if found is not None or may_be_slope else self._of_function(gradient, after, least)

    def _of_function(self, gradient: Value, after: int, least: int) -> Value | None:
        """With `d * slope` the gradient of `p`, which `y = f(p)` alone reads: `y`."""
        found: set[Value] = set()
        scaled = [gradient]
        for value in scaled[:_MOST]:
            for op in self._later.get(value, ()):
                if op.index <= after or op.operation is not ops.MUL or op.out.shape != gradient.shape:
                    continue
                product = self._of_product(op.out, op.index, least)
                if product is None:
                    scaled.append(op.out)
                    continue
                readers = self._readers.get(product, ())
                if len(readers) == 1 and readers[0].operation.family is Family.ELEMENTWISE:
                    found.add(readers[0].out)
        return found.pop() if len(found) == 1 else None

    def _of_product(self, gradient: Value, after: int, least: int) -> Value | None:
        read: dict[Value, set[Hashable]] = {}
        order: dict[Value, int] = {}
        for key in self._factors(gradient, after):
            for product in self._with.get(key, ()):
                for value in self._same_gradient(product.out):
                    if value.shape == gradient.shape:
                        read.setdefault(value, set()).add(key)
                        order[value] = value.producer.index if value.producer is not None else -1
        most = max((len(keys) for keys in read.values()), default=0)
        best = [value for value, keys in read.items() if len(keys) == most]
        if most < least:
            return None
        # Of a sum and its terms, which have one gradient, the sum is what everything else comes through.
        last = max(best, key=lambda value: order[value])
        alike = set(self._same_gradient(last)) | {last}
        others = [value for value in best if value not in alike]
        return last if all(last in self._same_gradient(value) for value in others) else None

    def _factors(self, gradient: Value, after: int) -> Iterator[Hashable]:
        """What it is multiplied with later on, itself or in another layout."""
        layouts = [gradient]
        for value in layouts:
            for op in self._later.get(value, ()):
                if op.index <= after:
                    continue
                if op.operation in _PRODUCTS:
                    yield from (_identity(other) for other in op.inputs[:2] if other is not value)
                elif op.operation.family is Family.LAYOUT:
                    layouts += [out for out in op.outputs if out not in layouts]

    def _same_gradient(self, value: Value) -> Iterator[Value]:
        """It, and the sums that it is only added to, which have its gradient."""
        while True:
            yield value
            readers = self._readers.get(value, ())
            if (
                len(readers) != 1
                or readers[0].operation is not ops.ADD
                or readers[0].out.shape != value.shape
            ):
                return
            value = readers[0].out


def _identity(value: Value) -> Hashable:
    """The same for every layout of an array, and for every way to take the same part of one."""
    taken: list[str] = []
    while (op := value.producer) is not None and op.inputs and op.inputs[0].root is value.root:
        if op.operation.family is Family.LAYOUT:
            value = op.inputs[0]
        elif value.root is not value and all(not isinstance(a, Value) for a in op.args[1:]):
            taken.append(repr(op.args[1:]))
            value = op.inputs[0]
        else:
            break
    return (value, *taken)
