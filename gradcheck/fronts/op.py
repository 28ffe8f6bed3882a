"""One recorded call, and the values it reads and makes.

An `Op` is one call; a `Value` stands for one array object of the person's program, wherever it appears among arguments
and results. `Op.func` is what a replay calls; what the call *does* is `Op.operation`, in the vocabulary of `ops`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from types import CodeType
from typing import Any

import torch

from gradcheck import ops
from gradcheck.fronts.fingerprint import Fingerprints
from gradcheck.ops import Operation, operation_called, spelling


class Kind(Enum):
    """How a call is treated, decided once per function."""

    IGNORE = auto()  # asks a question (shape, is_leaf): no tensor comes out of it
    CREATE = auto()  # makes a tensor of Python or NumPy numbers
    PURE = auto()  # result depends on the arguments alone
    MUTATE = auto()  # changes its first argument in place
    RANDOM = auto()  # draws from the random stream
    RANDOM_MUTATE = auto()  # fills its first argument with draws
    DROPOUT = auto()  # draws a mask and applies it to a value that has a gradient
    ESCAPE = auto()  # hands the numbers to Python or NumPy
    BACKWARD = auto()  # autograd's own backward pass
    GRAD_READ = auto()  # p.grad
    GRAD_WRITE = auto()  # p.grad = g
    DATA_WRITE = auto()  # p.data = t
    UPSTREAM = auto()  # the gradient that autograd hands to the `backward` of a Function of the person's
    RETURNED = auto()  # what such a `backward` returns for one of the arguments


@dataclass(slots=True, eq=False, repr=False)
class Value:
    """One array object. `root` is the value whose storage it shares (itself if none).

    `data` is set for a leaf: a tensor whose making was not recorded, that came from a random draw, or that a training
    step starts from; it is the tensor as it was when the recording first met it, or when that step began. `birth` is
    the number of ops on the tape when the value was first met.
    """

    producer: Op | None
    birth: int
    shape: tuple[int, ...]
    reference: weakref.ref[Any] | None = None  # the array, as long as the program holds it
    data: torch.Tensor | None = None
    requires_grad: bool = False
    # Autograd gives it a gradient: it requires one, and comes of nothing that does.
    differentiated: bool = False
    autograd_of: Value | None = None  # set if autograd put it into that value's .grad
    fingerprint: Fingerprints | None = None  # what `data` was when it was kept
    earlier: Value | None = None  # of a value of the aftermath: what the same array was before it
    # Some gradient has its shape: it gets its true gradient, however little of it is read.
    whole: bool = False
    root: Value = field(init=False)

    def __post_init__(self) -> None:
        self.root = self

    def asked_for(self, leaf: bool) -> None:
        """Its gradient is asked for: when it is made, or later (`p.requires_grad = True`)."""
        self.requires_grad, self.differentiated = True, leaf


@dataclass(slots=True, eq=False)
class Number:
    """A Python number among the arguments that was read out of a tensor (`loss.item()`): as it was then, and
    the value it came from, so that a replay can read it again."""

    was: float
    source: Value


@dataclass(slots=True, eq=False, repr=False)
class Op:
    """One recorded call. Arrays among `args`, `kwargs` and `out` are replaced by their `Value`s. `buffers` are values that
    a pure call changes besides: running statistics. `fingerprint` is what its result was, in a few numbers."""

    index: int
    func: Callable[..., Any]
    kind: Kind
    args: Any
    kwargs: Any
    code: CodeType
    lasti: int
    out: Any = None
    extra: Any = None  # random state of a dropout, result of an in-place draw, number of an escape
    buffers: tuple[Value, ...] = ()
    fingerprint: Fingerprints | None = None
    scope: int = 0  # which activation of which frame made the call
    grad_enabled: bool = True
    lowered: Any = None  # its node of the graph, once it was asked for
    _read: tuple[Value, ...] | None = field(default=None, init=False)  # `inputs`, once they were asked for
    # What a function's name says.
    _named: tuple[Any, Operation] = field(default=(None, ops.OPAQUE), init=False)

    def empty(self) -> None:
        """Forget what it was called with and what it made: only its place on the tape remains."""
        self.args, self.kwargs, self.out, self.extra = (), None, None, None
        self.buffers, self.fingerprint, self.lowered, self._read = (), None, None, None

    @property
    def name(self) -> str:
        return function_name(self.func)

    @property
    def operation(self) -> Operation:
        """What it does, in the vocabulary: the same for `a + b`, `a.add_(b)` and `np.add(a, b)`. The reduction `max` of two
        arrays is the maximum of each pair of elements, and `new` of numbers holds them."""
        function, found = self._named
        if function is not self.func:
            found = operation_called(self.name)
            self._named = self.func, found
        if (found is ops.MAX or found is ops.MIN) and len(self.args) > 1 and isinstance(self.args[1], Value):
            return ops.MAXIMUM if found is ops.MAX else ops.MINIMUM
        if self.name == "new" and type(self.args[-1]) in (list, tuple):
            return ops.TENSOR
        return found

    @property
    def reverse(self) -> bool:
        """Whether the operands are the other way round: `__rsub__`."""
        return spelling(self.name).reverse

    @property
    def inputs(self) -> list[Value]:
        if self._read is None:
            found = values_in(self.args)
            if self.kwargs:
                _collect(self.kwargs, found)
            self._read = tuple(found)
        return list(self._read)

    @property
    def outputs(self) -> list[Value]:
        return [self.out] if isinstance(self.out, Value) else values_in(self.out)

    @property
    def mutated(self) -> list[Value]:
        """The values this call changes in place."""
        kind = self.kind
        if kind is Kind.MUTATE or kind is Kind.RANDOM_MUTATE:
            out = self.kwargs.get("out") if self.kwargs else None
            if out is not None:
                return values_in(out)
            return values_in(self.args[0]) if self.args else []
        if kind is Kind.DATA_WRITE:
            return values_in(self.args[0]) if self.args else []
        return list(self.buffers)


def existed_before(value: Value, moment: int) -> bool:
    """Whether a value was there before op `moment`."""
    return value.birth <= moment if value.producer is None else value.producer.index < moment


NESTED = (tuple, list, dict, slice)


def rebuilt(thing: Any, part: Callable[[Any], Any]) -> Any:
    """A tuple, list, dict or slice with what `part` makes of each of its parts; anything else as it is."""
    kind = type(thing)
    if kind is tuple or kind is list:
        return kind([part(x) for x in thing])
    if kind is dict:
        return {key: part(x) for key, x in thing.items()}
    return slice(part(thing.start), part(thing.stop), part(thing.step)) if kind is slice else thing


def values_in(thing: Any) -> list[Value]:
    """All values inside nested tuples, lists, dicts and slices."""
    found: list[Value] = []
    _collect(thing, found)
    return found


def _collect(thing: Any, found: list[Value]) -> None:
    kind = type(thing)
    if kind is Value:
        found.append(thing)
    elif kind is int or kind is float or thing is None:
        return
    elif kind is slice:
        for part in (thing.start, thing.stop, thing.step):
            if part is not None and type(part) is not int:
                _collect(part, found)
    elif isinstance(thing, Value):
        found.append(thing)
    elif isinstance(thing, Number):
        found.append(thing.source)
    elif isinstance(thing, (tuple, list)):
        for item in thing:
            _collect(item, found)
    elif isinstance(thing, dict):
        for item in thing.values():
            _collect(item, found)


def function_name(func: Callable[..., Any]) -> str:
    """`add`, `__setitem__`; for a property read or write the property: `T`, `data`."""
    name = getattr(func, "__name__", "")
    if name in ("__get__", "__set__"):
        return getattr(getattr(func, "__self__", None), "__name__", name)
    return name
