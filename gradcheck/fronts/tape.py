"""The tape: what one run did to tensors, as plain records.

Nothing here runs anything. An `Op` is one call; a `Value` stands for one tensor object of the person's
program, wherever it appears among arguments and results; a `Binding` says which name held which value.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from types import CodeType
from typing import Any

import torch

from gradcheck.ops import MAX, MAXIMUM, MIN, MINIMUM, Operation, operation_called, spelling
from gradcheck.program.loops import LoopSite
from gradcheck.program.observer import LoopEnd

# Pure but for their running statistics, the second and third argument, which they change.
CHANGE_BUFFERS = frozenset(
    {torch.nn.functional.batch_norm, torch.nn.functional.instance_norm, torch.batch_norm, torch.instance_norm}
)


class Kind(Enum):
    """How a call is to be treated, decided once per function."""

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


class Value:
    """One tensor object. `root` is the value whose storage it shares (itself if none).

    `data` is set for a leaf: a tensor whose making was not recorded, that came from a random draw, or that a training
    step starts from; it is the tensor as it was when the recording first met it, or when that step began. `birth` is
    the number of ops on the tape when the value was first met.
    """

    __slots__ = (
        "autograd_of",
        "birth",
        "data",
        "earlier",
        "producer",
        "reference",
        "requires_grad",
        "root",
        "shape",
    )

    def __init__(
        self,
        producer: Op | None,
        birth: int,
        shape: tuple[int, ...],
        reference: weakref.ref[torch.Tensor] | None = None,
    ) -> None:
        self.producer = producer
        self.birth = birth
        self.shape = shape
        self.root: Value = self
        self.data: torch.Tensor | None = None
        self.reference = reference  # the tensor, as long as the program holds it
        self.requires_grad = False
        self.autograd_of: Value | None = None  # set if autograd put it into that value's .grad
        self.earlier: Value | None = None  # of a value of the aftermath: what the same tensor was before it

    @property
    def is_leaf(self) -> bool:
        return self.producer is None or self.data is not None


class Number:
    """A Python number among the arguments that was read out of a tensor (`loss.item()`): as it was then, and
    the value it came from, so that a replay can read it anew."""

    __slots__ = ("source", "was")

    def __init__(self, was: float, source: Value) -> None:
        self.was = was
        self.source = source


class Op:
    """One recorded call. Tensors among `args`, `kwargs` and `out` are replaced by their `Value`s."""

    __slots__ = (
        "args",
        "code",
        "extra",
        "func",
        "grad_enabled",
        "index",
        "kind",
        "kwargs",
        "lasti",
        "lowered",
        "out",
        "scope",
    )

    def __init__(
        self,
        index: int,
        func: Callable[..., Any],
        kind: Kind,
        args: Any,
        kwargs: Any,
        code: CodeType,
        lasti: int,
    ) -> None:
        self.index = index
        self.func = func
        self.kind = kind
        self.args = args
        self.kwargs = kwargs
        self.code = code
        self.lasti = lasti
        self.out: Any = None
        self.extra: Any = None  # random state of a dropout, result of an in-place draw, number of an escape
        self.scope = 0  # which activation of which frame made the call
        self.grad_enabled = True
        self.lowered: Any = None  # its node of the graph, once it was asked for

    def empty(self) -> None:
        """Forget what it was called with and what it made: it keeps its place on the tape, and is nobody's reason."""
        self.args, self.kwargs, self.out, self.extra, self.lowered = (), None, None, None, None

    @property
    def name(self) -> str:
        return function_name(self.func)

    @property
    def operation(self) -> Operation:
        """What it does, in the vocabulary: the same for `a + b`, `a.add_(b)` and `np.add(a, b)`. The reduction `max` of two
        arrays is the maximum of each pair of elements."""
        found = operation_called(self.name)
        if (found is MAX or found is MIN) and len(self.args) > 1 and isinstance(self.args[1], Value):
            return MAXIMUM if found is MAX else MINIMUM
        return found

    @property
    def reverse(self) -> bool:
        """Whether the operands are the other way round: `__rsub__`."""
        return spelling(self.name).reverse

    @property
    def inputs(self) -> list[Value]:
        found = _flat_values(self.args)
        if self.kwargs:
            found.extend(values_in(self.kwargs))
        return found

    @property
    def outputs(self) -> list[Value]:
        return [self.out] if isinstance(self.out, Value) else list(values_in(self.out))

    @property
    def mutated(self) -> list[Value]:
        """The values this call changes in place."""
        if not self.args and not self.kwargs:
            return []
        if self.kind is Kind.DATA_WRITE:
            return list(values_in(self.args[0]))
        if self.kind in (Kind.MUTATE, Kind.RANDOM_MUTATE):
            out = self.kwargs.get("out") if self.kwargs else None
            if out is not None:
                return list(values_in(out))
            return list(values_in(self.args[0])) if self.args else []
        if self.func in CHANGE_BUFFERS:
            return list(values_in(self.args[1:3]))
        return []


def existed_before(value: Value, moment: int) -> bool:
    """Whether a value was there before op `moment`."""
    return value.birth <= moment if value.producer is None else value.producer.index < moment


@dataclass(slots=True, eq=False)
class Binding:
    """After `when` ops, `name` (as written: `dW1`, `self.dW`, `grads['W1']`) held `value`."""

    name: str
    value: Value
    when: int
    scope: int
    code: CodeType | None
    line: int
    alias: bool  # a parameter or loop variable: another name for what exists already
    owner: int = 0  # identity of the object an attribute or item belongs to
    of: Value | None = None  # that object, if it is a tensor: what `x.g = ...` was set on
    evaluated: str = ""  # of an item, the name with its key as it was: `dW[2]` for `dW[i]`

    @property
    def variable(self) -> str:
        """What tells one variable from another: the name, with its key as it was."""
        return self.evaluated or self.name


@dataclass(slots=True, eq=False)
class PlainBinding:
    """After `when` ops, `name` held something that is no tensor: a number, kept as it is, or an object, of which
    only the identity is kept (and a weak reference, where it allows one), so that it lives no longer than it would."""

    name: str
    when: int
    scope: int
    value: object = None  # of a number, string, shape and the like
    identity: int = 0  # of any other object; 0 if `value` is what was held
    reference: weakref.ref[Any] | None = None
    attributes: dict[str, Value] = field(default_factory=dict)  # the tensors it held when the name was bound


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """The person's word, by `gradcheck.pair`, that one value is the gradient of another."""

    gradient: Value
    of: Value


@dataclass(frozen=True, slots=True)
class Scope:
    """One activation of one of the person's frames: its code, and the global names it sees."""

    code: CodeType
    namespace: dict[str, Any]

    @property
    def is_module(self) -> bool:
        return self.code.co_name == "<module>"


@dataclass(frozen=True, slots=True)
class Mark:
    """A boundary on the tape: the start of a unit, of a recorded training iteration, or of what comes after them."""

    when: int
    what: str  # "unit" or "step" or "step-end" or "aftermath"
    number: int  # cell number, or number of the training iteration, or 0
    loop: int = -1


@dataclass(slots=True, eq=False)
class LoopRun:
    """One run of one of the person's loops after the training, from its first iteration to its end. Its ops are those
    from `begin` on, up to but without `end`; runs are nested as the loops were, across functions."""

    site: LoopSite
    activation: int
    begin: int  # ops on the tape when it began
    parent: LoopRun | None = None  # the innermost loop that ran around it
    iterations: list[int] = field(default_factory=list)  # ops on the tape when each iteration began
    turns: int = 0  # iterations in all, those that were not recorded among them
    whole: bool = True  # False: its first iterations were not followed
    end: int | None = None  # ops on the tape when it ended
    how: LoopEnd | None = None  # None: its end was not seen

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    def stands_in(self, other: LoopRun) -> bool:
        return self.parent is not None and (self.parent is other or self.parent.stands_in(other))


@dataclass(frozen=True, slots=True)
class Lengths:
    """How far the lists of a recording went at one moment, and which values spoke of gradients."""

    ops: int
    bindings: int
    marks: int
    nones: int
    plain: int
    gradient_named: frozenset[Value]


@dataclass
class Recording:
    """Everything one run left behind.

    What the program does after its last wanted training step is the aftermath. It stands apart if nothing in it can
    compute gradients: then every tensor is a leaf of it, kept as it was when the aftermath first used it, so that it
    can be replayed alone, and `before_aftermath` is all there is to judge.
    """

    ops: list[Op] = field(default_factory=list)
    bindings: list[Binding] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    gradient_named: set[Value] = field(default_factory=set)  # values that had a name that speaks of gradients
    nones: list[tuple[str, CodeType, int, int]] = field(default_factory=list)  # names bound to None
    plain: list[PlainBinding] = field(default_factory=list)
    scopes: dict[int, Scope] = field(default_factory=dict)
    value_of: Callable[[torch.Tensor], Value | None] = lambda tensor: None  # of a tensor that is still alive
    pairings: list[Pairing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    loop_runs: list[LoopRun] = field(default_factory=list)  # of the aftermath, as they were first met
    aftermath_cut: Lengths | None = None  # set if the aftermath stands apart: how far all went before it
    earlier_value_of: Callable[[torch.Tensor], Value | None] = lambda tensor: None  # what it was before that
    cut_short: bool = False  # whether the end of the aftermath was not recorded
    final_namespace: dict[str, object] = field(
        default_factory=dict
    )  # what the module's names held in the end

    @property
    def aftermath(self) -> int | None:
        """The first op after the last wanted training step; None if the recording did not get there."""
        return next((mark.when for mark in reversed(self.marks) if mark.what == "aftermath"), None)

    @property
    def aftermath_ops(self) -> list[Op]:
        return [] if self.aftermath is None else self.ops[self.aftermath :]

    def before_aftermath(self) -> Recording:
        """The part of the recording that may hold backward passes."""
        cut = self.aftermath_cut
        if cut is None:
            return self
        return Recording(
            ops=self.ops[: cut.ops],
            bindings=self.bindings[: cut.bindings],
            marks=self.marks[: cut.marks],
            gradient_named=set(cut.gradient_named),
            nones=self.nones[: cut.nones],
            plain=self.plain[: cut.plain],
            scopes=self.scopes,
            value_of=self.earlier_value_of,
            notes=self.notes,
            pairings=self.pairings,
        )

    def cut_to(self, cut: Lengths) -> None:
        """Forget whatever was added since."""
        del self.ops[cut.ops :]
        del self.bindings[cut.bindings :]
        del self.marks[cut.marks :]
        del self.nones[cut.nones :]
        del self.plain[cut.plain :]
        self.gradient_named.intersection_update(cut.gradient_named)

    def lengths(self) -> Lengths:
        return Lengths(
            len(self.ops),
            len(self.bindings),
            len(self.marks),
            len(self.nones),
            len(self.plain),
            frozenset(self.gradient_named),
        )


def _flat_values(things: Any) -> list[Value]:
    found: list[Value] = []
    for thing in things or ():
        kind = type(thing)
        if kind is Value:
            found.append(thing)
        elif kind is not int and kind is not float:
            found.extend(values_in(thing))
    return found


def values_in(thing: Any) -> Iterator[Value]:
    """All values inside nested tuples, lists, dicts and slices."""
    if isinstance(thing, Value):
        yield thing
    elif isinstance(thing, Number):
        yield thing.source
    elif isinstance(thing, (tuple, list)):
        for item in thing:
            yield from values_in(item)
    elif isinstance(thing, dict):
        for item in thing.values():
            yield from values_in(item)
    elif isinstance(thing, slice):
        yield from values_in((thing.start, thing.stop, thing.step))


def function_name(func: Callable[..., Any]) -> str:
    """`add`, `__setitem__`; for a property read or write the property: `T`, `data`."""
    name = getattr(func, "__name__", "")
    if name in ("__get__", "__set__"):
        return getattr(getattr(func, "__self__", None), "__name__", name)
    return name
