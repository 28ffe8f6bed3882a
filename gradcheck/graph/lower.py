"""From a recorded event to a node of the graph: every special case of a front end is spelled here, once."""

from collections.abc import Callable, Collection
from typing import Any

import torch

from gradcheck.fronts.fingerprint import Fingerprint, put_back
from gradcheck.fronts.markers import view_as
from gradcheck.fronts.tape import Kind, Op, Value, function_name, rebuilt
from gradcheck.graph.library import is_of_library
from gradcheck.graph.node import Node, Role
from gradcheck.graph.precision import Precision, without_precision
from gradcheck.ops import CAST, CLONE, DETACH, EMPTY, RESHAPE, TENSOR

_ROLES = {
    **dict.fromkeys(
        (Kind.ESCAPE, Kind.BACKWARD, Kind.GRAD_WRITE, Kind.RETURNED, Kind.GRAD_READ), Role.NOTHING
    ),
    Kind.RANDOM: Role.CONSTANT,
    Kind.RANDOM_MUTATE: Role.FILL,
    Kind.DATA_WRITE: Role.REBIND,
    Kind.UPSTREAM: Role.ARRIVE,
    Kind.MUTATE: Role.WRITE,
}
_TO_ANOTHER_FLOAT = {
    "float": torch.float32,
    "half": torch.float16,
    "double": torch.float64,
    "bfloat16": torch.bfloat16,
}
_TO_ANOTHER_DEVICE = {"cuda", "cpu", "xpu", "mps"}
UNKNOWN_MASKS = {"alpha_dropout", "feature_alpha_dropout", "native_dropout"}
# Their results can be the very memory that they were given, or not, as it happens.
_MAY_ALIAS = frozenset({RESHAPE, CLONE, CAST, TENSOR, DETACH})


class CannotLowerError(Exception):
    """An event that cannot be run again; the message says why."""


def node_of(op: Op) -> Node:
    """The node of a recorded op. The recording of it must be complete."""
    node: Node | None = op.lowered
    if node is None:
        node = op.lowered = lower(op)
    return node


def lower(op: Op) -> Node:
    role = _role(op)
    call, args = _call(op)
    if any(callable(each) and not is_of_library(each) for each in (*args, *(op.kwargs or {}).values())):
        call = _Refused(op)
    kwargs = {name: _argument(value) for name, value in (op.kwargs or {}).items()}
    if op.kind is Kind.DROPOUT:
        kwargs.pop("inplace", None)
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
    node = Node(op, op.operation, role, call, tuple([_argument(a) for a in args]), kwargs)
    node.may_alias = role is Role.CALL and node.operation in _MAY_ALIAS and op.func is not view_as
    return node


def _role(op: Op) -> Role:
    role = _ROLES.get(op.kind)
    if role is not None:
        return role
    if op.buffers:
        return Role.WRITE
    if op.kind in (Kind.PURE, Kind.CREATE) and any(op.out is value for value in op.inputs):
        return Role.NOTHING  # it handed back the very tensor it was given
    return Role.VIEW if _is_view(op) else Role.CALL


def _is_view(op: Op) -> bool:
    """Whether the results lie in the memory of the first argument. A Function sees its arguments as values of their own, and
    a `contiguous` that gives another tensor has made a copy."""
    if op.func is view_as or op.name == "contiguous" or not op.args or not isinstance(op.args[0], Value):
        return False
    made = [value for value in op.outputs if value.producer is op]
    return bool(made) and all(value.root is not value for value in made)


def _call(op: Op) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function, and its arguments. A cast to another floating type is one to that of the replay, a move to another
    device does nothing, and dropout is a multiplication by its recorded mask. Autograd takes no derivative with respect
    to running statistics, nor through `out=`."""
    args = op.args or ()
    if op.kind is Kind.DROPOUT:
        return Dropout(op), args
    if op.operation is EMPTY and op.kind is not Kind.MUTATE:
        return _Unwritten(op), args
    if op.buffers:
        places = [i for i, argument in enumerate(args) if any(argument is value for value in op.buffers)]
        return _Detached(op.func, places), args
    if op.kind is Kind.MUTATE and isinstance((op.kwargs or {}).get("out"), Value):
        return _Into(op.func), args
    if args and not op.kwargs and isinstance(args[0], Value):
        name = op.name
        if name in _TO_ANOTHER_FLOAT and len(args) == 1:
            return torch.Tensor.to, (args[0], Precision(_TO_ANOTHER_FLOAT[name]))
        if name in _TO_ANOTHER_DEVICE:
            return (lambda tensor: tensor), (args[0],)
    return op.func, args


def _argument(thing: Any) -> Any:
    kind = type(thing)
    if kind is Value or kind is int or kind is float:
        return thing
    return without_precision(rebuilt(thing, _argument))


class _Refused:
    """A call that would call a function of the person's: it ran once, when the program did."""

    def __init__(self, op: Op) -> None:
        self.__name__ = op.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise CannotLowerError("it calls a function of the program, which is not called a second time")


class _Detached:
    """A call with some of its arguments cut off from their derivatives."""

    def __init__(self, func: Callable[..., Any], positions: Collection[int]) -> None:
        self._func = func
        self._positions = positions
        self.__name__ = function_name(func)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = [
            a.detach() if i in self._positions and isinstance(a, torch.Tensor) else a
            for i, a in enumerate(args)
        ]
        return self._func(*given, **kwargs)


class _Unwritten:
    """New memory: what lay in it cannot be had again, but for what was kept of it."""

    def __init__(self, op: Op) -> None:
        self._func = op.func
        self._kept = op.fingerprint
        self.__name__ = op.name

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        made: torch.Tensor = self._func(*args, **kwargs)
        kept = self._kept
        with torch.no_grad():
            made.zero_()
            if (
                isinstance(kept, Fingerprint)
                and kept.size == made.numel() * kept.dtype.itemsize
                and made.is_contiguous()
            ):
                made = made.to(kept.dtype)  # the default type of the program may be another
                put_back(kept, made)
        return made


class _Into:
    """A call with `out=`: the result is computed, and then written there."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self._func = func
        self.__name__ = function_name(func)

    def __call__(self, *args: Any, out: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        # What it is computed from, autograd keeps as it was: `np.divide(a, total, out=a)`.
        result: torch.Tensor = self._func(*[a.clone() if a is out else a for a in args], **kwargs)
        # What has another shape is resized to that of the result.
        return out.copy_(result) if out.shape == result.shape else result


class Dropout:
    """A recorded dropout: its mask is drawn again from the recorded random state, on ones of the shape it is given."""

    def __init__(self, op: Op) -> None:
        self._func = op.func
        self._state = op.extra
        self._name = op.name
        self.__name__ = op.name

    def __call__(self, source: torch.Tensor, *rest: Any, **kwargs: Any) -> torch.Tensor:
        if self._name in UNKNOWN_MASKS:
            raise CannotLowerError(f"`{self._name}` cannot be replayed: its mask is not known")
        now = torch.get_rng_state()
        try:
            torch.set_rng_state(self._state)
            with torch.no_grad():
                kept = self._func(torch.ones(source.shape, dtype=torch.float32), *rest[:2], **kwargs) != 0
        finally:
            torch.set_rng_state(now)
        # The factor is rounded as a program in this precision rounds it.
        probability = kwargs.get("p", rest[0] if rest else 0.5)
        mask: torch.Tensor = kept.to(source.dtype) / (1 - probability)
        return source * mask


def call_in_precision(func: Callable[..., Any], args: Any, kwargs: dict[str, Any], dtype: torch.dtype) -> Any:
    """The call, but that a cast to another floating type or a move to a device leaves a tensor as it is."""
    name = function_name(func)
    if args and isinstance(args[0], torch.Tensor):
        if name in _TO_ANOTHER_FLOAT and len(args) == 1:
            return args[0].to(dtype)
        if name in _TO_ANOTHER_DEVICE:
            return args[0]
    return func(*args, **kwargs)
