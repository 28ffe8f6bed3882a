"""Calls of custom `torch.autograd.Function`s: their arguments and results as each call sees them.

The operations inside `forward` are seen like any others. An argument of a Function, and its result, are values of their
own on the tape: what `backward` returns is the gradient of that, and not of whatever else the same tensor is used for.
"""

import inspect
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction

from gradcheck.fronts.control import Control
from gradcheck.fronts.markers import view_as
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.fronts.torch.mode_stack import in_transform
from gradcheck.fronts.torch.values import Values


@dataclass(slots=True, eq=False)
class Call:
    """One call of a Function. `inputs` are its tensor arguments by position, as this call sees them."""

    name: str
    inputs: dict[int, Value]
    arguments: dict[int, str]  # what `forward` calls them
    outputs: tuple[Value | None, ...]
    upstream: list[tuple[Value, Value]] = field(default_factory=list)  # what the next ones down have returned


class FunctionCalls:
    """`of_context` has the call that each context of autograd's belongs to, for as long as autograd keeps the context."""

    def __init__(self, control: Control, values: Values) -> None:
        self._state = control.state
        self._ops = control.recording.ops
        self._follower = control.follower
        self._values = values
        self.inside_forward = 0
        self.of_context: weakref.WeakKeyDictionary[Any, Call] = weakref.WeakKeyDictionary()

    def listens(self) -> bool:
        return self._state.records and not in_transform()

    def op(self, func: Callable[..., Any], kind: Kind, args: Any, frame: FrameType) -> Op:
        return Op(len(self._ops), func, kind, args, None, frame.f_code, frame.f_lasti)

    def apply(self, cls: Any, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """`cls.apply(*args, **kwargs)`, which `call` makes."""
        inputs: dict[int, Value] = {}
        outside: list[tuple[torch.Tensor, Value]] = []
        names: list[str] = []
        frame = None
        with self._state.guard:
            frame = self._follower.caller()
            if frame is not None:
                names = _argument_names(cls)
                inputs, outside = self._seen_by(_by_position(cls, args, kwargs), frame)
        self.inside_forward += 1
        began = len(self._ops)
        try:
            result = call(*args, **kwargs)  # the person's call: its errors are the person's
        finally:
            self.inside_forward -= 1
            for tensor, value in outside:
                self._values.remember(tensor, value)
        with self._state.guard:
            if frame is not None and self.listens():
                arguments = self._as_they_were(inputs, outside, began)
                named = {i: names[i] if i < len(names) else f"argument {i + 1}" for i in inputs}
                outputs, context = self._results(result, inputs, frame)
                if context is not None:
                    self.of_context[context] = Call(cls.__name__, arguments, named, tuple(outputs))
        return result

    def _seen_by(
        self, args: dict[int, Any], frame: FrameType
    ) -> tuple[dict[int, Value], list[tuple[torch.Tensor, Value]]]:
        """A value of its own for every tensor that is handed in, and what the tensors were before."""
        inputs: dict[int, Value] = {}
        outside: list[tuple[torch.Tensor, Value]] = []
        seen: dict[int, Value] = {}
        for position, tensor in args.items():
            if not isinstance(tensor, torch.Tensor) or not _differentiable(tensor):
                continue
            if id(tensor) not in seen:
                before = self._values.value_of(tensor)
                outside.append((tensor, before))
                seen[id(tensor)] = self._view(before, tensor, frame)
            inputs[position] = seen[id(tensor)]
        return inputs, outside

    def _view(self, of: Value, tensor: torch.Tensor, frame: FrameType) -> Value:
        op = self.op(view_as, Kind.PURE, (of,), frame)
        value = self._values.new_value(tensor, op)
        value.root = of.root
        op.out = value
        self._follower.put(op, frame)
        return value

    def _results(
        self, result: Any, inputs: dict[int, Value], frame: FrameType
    ) -> tuple[list[Value | None], Any]:
        """A value of its own for every tensor that is returned; and the context, if autograd follows the call."""
        outputs: list[Value | None] = []
        context: Any = None
        for tensor in result if isinstance(result, tuple) else (result,):
            if not isinstance(tensor, torch.Tensor) or not _differentiable(tensor):
                outputs.append(None)
                continue
            # An argument that `forward` changes in place is its result as well.
            inner = _at_the_place_of(tensor, inputs.values()) or self._values.value_of(tensor)
            outputs.append(self._view(inner, tensor, frame))
            made_by: Any = tensor.grad_fn
            if context is None and isinstance(made_by, BackwardCFunction):
                context = made_by
        return outputs, context

    def _as_they_were(
        self, inputs: dict[int, Value], outside: list[tuple[torch.Tensor, Value]], began: int
    ) -> dict[int, Value]:
        """What `backward` returns the gradients of. An argument that `forward`, which began at op `began`, has changed in
        place is not that any more."""
        changed = {value.root for op in self._ops[began:] for value in op.mutated}
        before = {id(tensor): value for tensor, value in outside}
        found = dict(inputs)
        for position, value in inputs.items():
            held = value.reference() if value.reference is not None else None
            if value.root in changed and id(held) in before:
                found[position] = before[id(held)]
        return found


def place_of(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Its place in memory, which no other has while it lives."""
    if tensor.layout is not torch.strided:
        return (id(tensor),)
    storage = tensor.untyped_storage()._cdata
    return storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _at_the_place_of(tensor: torch.Tensor, values: Iterable[Value]) -> Value | None:
    """An argument that `forward` handed back is another tensor outside."""
    for value in values:
        held = value.reference() if value.reference is not None else None
        if held is not None and place_of(held) == place_of(tensor):
            return value
    return None


def _differentiable(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _argument_names(cls: Any) -> list[str]:
    names = list(inspect.signature(cls.forward).parameters)
    return names if _has_setup(cls) else names[1:]


def _has_setup(cls: Any) -> bool:
    return cls.setup_context is not torch.autograd.Function.setup_context


def _by_position(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[int, Any]:
    if kwargs and _has_setup(cls):
        bound = inspect.signature(cls.forward).bind(*args, **kwargs)
        bound.apply_defaults()
        args = bound.args
    return dict(enumerate(args))
