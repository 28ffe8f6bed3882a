"""A node of the graph: one operation, in a form that can be run again whatever recorded it.

A node reads tensor objects and makes new versions of some: of its results, and of what it changes in place. It keeps
one call for all of that, with `Value`s for tensors, so that whoever runs it decides whether the old version of what
changes is still wanted, and is copied first.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from gradcheck.fronts.tape import Number, Op, Value
from gradcheck.graph.precision import Precision
from gradcheck.ops import Operation


class Role(Enum):
    """What running a node comes to."""

    __hash__ = object.__hash__  # that of an Enum is computed anew each time: a node is looked up by its role

    NOTHING = auto()  # it asks a question, or marks a place: no number of a replay comes from it
    CONSTANT = auto()  # its results are the recorded ones: random draws
    CALL = auto()  # a function of its arguments alone
    VIEW = auto()  # the same, and its result lies in the memory of its first argument
    WRITE = auto()  # makes new versions of `writes`
    FILL = auto()  # makes a new version of its first argument: the recorded result
    REBIND = auto()  # `p.data = t`: p lies in the memory of t from now on
    ARRIVE = auto()  # the gradient that autograd hands to the backward of a custom Function


class Node:
    """`call(*args, **kwargs)` is the operation. `event` is what was recorded, with its place, scope and names; `inputs`
    are the tensor objects it reads, `outputs` its results, `writes` those it makes new versions of. `before` is what it
    writes, as it was before, where that has a gradient of its own; `flat` says whether the arguments are Values, and
    constants that hold none."""

    __slots__ = (
        "args", "before", "call", "event", "flat", "inputs", "kwargs", "may_alias", "operation", "out", "outputs", "role",
        "writes",
    )  # fmt: skip

    def __init__(
        self, event: Op, operation: Operation, role: Role, call: Callable[..., Any], args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:  # fmt: skip
        self.event = event
        self.operation = operation
        self.role = role
        self.call = call
        self.args = args
        self.kwargs = kwargs
        self.out = event.out
        self.inputs: tuple[Value, ...] = tuple(event.inputs)
        self.outputs: tuple[Value, ...] = tuple(event.outputs)
        self.writes: tuple[Value, ...] = tuple(event.mutated)
        self.before: Value | None = None
        self.flat = not kwargs and not any(_varies_inside(a) for a in args if type(a) is not Value)
        # Whether the result can be the memory of the first argument, and counts as another.
        self.may_alias = False

    @property
    def index(self) -> int:
        return self.event.index

    def __repr__(self) -> str:
        return f"<node {self.event.index} {self.operation.name} {self.role.name.lower()}>"


def _varies_inside(thing: Any) -> bool:
    """Whether a part of an argument is not the same in every replay."""
    if isinstance(thing, (tuple, list)):
        return any(map(_varies_inside, thing))
    if isinstance(thing, dict):
        return any(map(_varies_inside, thing.values()))
    if isinstance(thing, slice):
        return any(map(_varies_inside, (thing.start, thing.stop, thing.step)))
    return isinstance(thing, (Value, Number, Precision))
