"""Custom `torch.autograd.Function`s: what their `forward` and `backward` compute, and how the two belong together.

The operations inside `forward` are seen like any others. Those inside `backward` are not: autograd calls it while the
recording's mode is off. While recording, the mode is on there too, and it is noted which gradients autograd hands to
`backward`, and which it gets back for which argument.

An argument of a Function, and its result, are values of their own on the tape: the tensor as this one call sees it. What
`backward` returns is the gradient of that, and not of whatever else the same tensor is used for.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Protocol

import torch
from torch.autograd.function import BackwardCFunction, FunctionCtx

from gradcheck.fronts.tape import Kind, Op, Recording, Value
from gradcheck.fronts.torch.values import Values

_FORWARD_METHODS = ("forward", "setup_context", "backward", "vjp")
_MOST_NODES = 20_000


ONLY_THROUGH_THESE = "only through these"  # of an UPSTREAM op: nothing else leads to its value


def view_as(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, as a value of their own: a Function may change its argument in place, and what it returns is
    the gradient of what that was before."""
    return tensor.clone()


def seen_from_outside(value: Value) -> Value:
    """Of an argument of a Function, or its result, the tensor that it is for the rest of the program."""
    while value.producer is not None and value.producer.func is view_as:
        value = value.producer.args[0]
    return value


def upstream_gradient(of: torch.Tensor, *handed: Any) -> torch.Tensor:
    """Stands on the tape for what autograd hands to a `backward`; a replay has its own way to find it."""
    raise NotImplementedError


def returned_gradient(of: torch.Tensor, gradient: torch.Tensor) -> None:
    """Stands on the tape for what a `backward` returns."""


class Tape(Protocol):
    """What the bridge needs of the recorder."""

    recording: Recording

    def listens(self) -> bool: ...
    def caller(self) -> FrameType | None: ...
    def is_user(self, code: CodeType) -> bool: ...
    def failed(self, error: Exception) -> None: ...
    def put(self, op: Op, frame: FrameType | None) -> None: ...
    def within_backward(self, call: Callable[[], Any], frame: FrameType) -> Any: ...
    def last_return(self) -> tuple[CodeType, int, int] | None: ...


@dataclass(slots=True, eq=False)
class Call:
    """One call of a Function. `inputs` are its tensor arguments by position, as this call sees them."""

    name: str
    context: weakref.ref[Any]
    inputs: dict[int, Value]
    arguments: dict[int, str]  # what `forward` calls them
    outputs: tuple[Value | None, ...]
    upstream: list[tuple[Value, Value]] = field(default_factory=list)  # what the next ones down have returned


class FunctionBridge:
    """Installs and removes the hooks, and writes on the tape what passes through them."""

    def __init__(self, tape: Tape, values: Values) -> None:
        self._tape = tape
        self._values = values
        self._calls: dict[int, Call] = {}
        # By context, what was saved for its backward pass: each tensor's place in memory, and its value.
        self._saved: dict[int, tuple[weakref.ref[Any], list[tuple[Any, Value | None]]]] = {}
        self._user: dict[type, bool] = {}
        self.inside_forward = 0
        self._undo: list[tuple[Any, str, Any]] = []

    def install(self) -> None:
        bridge = self
        plain_apply = torch.autograd.Function.__dict__["apply"]

        def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
            call = plain_apply.__get__(None, cls)
            if not bridge._tape.listens() or not bridge._is_user(cls):
                return call(*args, **kwargs)
            return bridge._applied(cls, call, args, kwargs)

        self._patch(torch.autograd.Function, "apply", classmethod(apply))
        for method in ("apply", "apply_boxed"):
            original = BackwardCFunction.__dict__.get(method)
            if original is not None:
                self._patch(BackwardCFunction, method, self._backward_hook(original, method == "apply_boxed"))
        plain_save = FunctionCtx.save_for_backward

        def save_for_backward(context: Any, *tensors: Any) -> None:
            plain_save(context, *tensors)
            bridge._saving(context, tensors)

        self._patch(FunctionCtx, "save_for_backward", save_for_backward)
        plain_saved: Any = BackwardCFunction.saved_tensors

        def saved_tensors(context: Any) -> Any:
            tensors = plain_saved.__get__(context)
            bridge._recognise(context, tensors)
            return tensors

        self._patch(BackwardCFunction, "saved_tensors", property(saved_tensors))

    def remove(self) -> None:
        for owner, name, before in reversed(self._undo):
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._undo.clear()
        self._calls.clear()
        self._saved.clear()

    def _patch(self, owner: Any, name: str, replacement: Any) -> None:
        self._undo.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, replacement)

    def _is_user(self, cls: type) -> bool:
        known = self._user.get(cls)
        if known is None:
            known = self._user[cls] = any(
                self._tape.is_user(inspect.unwrap(method).__code__)
                for method in (getattr(cls, name, None) for name in _FORWARD_METHODS)
                if inspect.isfunction(method)
            )
        return known

    # -- forward -------------------------------------------------------------------------------------------------

    def _applied(self, cls: Any, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        inputs: dict[int, Value] = {}
        outside: list[tuple[torch.Tensor, Value]] = []
        names: list[str] = []
        frame = None
        try:
            frame = self._tape.caller()
            if frame is not None:
                names = _argument_names(cls)
                inputs, outside = self._seen_by(_by_position(cls, args, kwargs), frame)
        except Exception as error:
            self._tape.failed(error)
        self.inside_forward += 1
        began = len(self._tape.recording.ops)
        try:
            result = call(*args, **kwargs)  # the person's call: its errors are the person's
        finally:
            self.inside_forward -= 1
            for tensor, value in outside:
                self._values.known[id(tensor)] = (weakref.ref(tensor), value)
        try:
            if frame is not None and self._tape.listens():
                arguments = self._as_they_were(inputs, outside, began)
                named = {i: names[i] if i < len(names) else f"argument {i + 1}" for i in inputs}
                self._remember(cls, result, inputs, arguments, named, frame)
        except Exception as error:
            self._tape.failed(error)
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
        op = self._op(view_as, Kind.PURE, (of,), frame)
        value = self._values.new_value(tensor, op)
        value.root = of.root
        op.out = value
        self._tape.put(op, frame)
        return value

    def _remember(
        self,
        cls: Any,
        result: Any,
        inputs: dict[int, Value],
        arguments: dict[int, Value],
        names: dict[int, str],
        frame: FrameType,
    ) -> None:
        outputs: list[Value | None] = []
        context: Any = None
        for tensor in result if isinstance(result, tuple) else (result,):
            if not isinstance(tensor, torch.Tensor) or not _differentiable(tensor):
                outputs.append(None)
                continue
            # An argument that `forward` changes in place is its result as well.
            inner = self._by_storage(tensor, inputs.values()) or self._values.value_of(tensor)
            value = self._view(inner, tensor, frame)
            outputs.append(value)
            made_by: Any = tensor.grad_fn
            if context is None and isinstance(made_by, BackwardCFunction):
                context = made_by
        if context is not None:
            call = Call(cls.__name__, weakref.ref(context), arguments, names, tuple(outputs))
            self._calls[id(context)] = call

    def _as_they_were(
        self, inputs: dict[int, Value], outside: list[tuple[torch.Tensor, Value]], began: int
    ) -> dict[int, Value]:
        """What `backward` returns the gradients of. An argument that `forward`, which began at op `began`, has changed in
        place is not that any more."""
        changed = {value.root for op in self._tape.recording.ops[began:] for value in op.mutated}
        before = {id(tensor): value for tensor, value in outside}
        found = dict(inputs)
        for position, value in inputs.items():
            held = value.reference() if value.reference is not None else None
            if value.root in changed and id(held) in before:
                found[position] = before[id(held)]
        return found

    def _by_storage(self, tensor: torch.Tensor, values: Iterable[Value]) -> Value | None:
        """An argument that `forward` handed back is another tensor outside."""
        for value in values:
            held = value.reference() if value.reference is not None else None
            if held is not None and _place(held) == _place(tensor):
                return value
        return None

    # -- backward ------------------------------------------------------------------------------------------------

    def _backward_hook(self, original: Callable[..., Any], boxed: bool) -> Callable[..., Any]:
        def apply(context: Any, *args: Any) -> Any:
            call = self._call(context) if self._tape.listens() else None
            frame = self._tape.caller() if call is not None else None
            if call is None or frame is None:
                return original(context, *args)
            try:
                self._arrive(call, args[0] if boxed else args, frame)
            except Exception as error:
                self._tape.failed(error)
            result = self._tape.within_backward(lambda: original(context, *args), frame)
            try:
                if self._tape.listens():
                    self._hand_back(call, context, result, frame)
            except Exception as error:
                self._tape.failed(error)
            return result

        apply.__name__ = original.__name__
        return apply

    def _call(self, context: Any) -> Call | None:
        call = self._calls.get(id(context))
        return call if call is not None and call.context() is context else None

    def _saving(self, context: Any, tensors: tuple[Any, ...]) -> None:
        try:
            if self._tape.listens() and isinstance(context, BackwardCFunction):
                kept = [
                    (_place(t), self._values.known_value(t)) if isinstance(t, torch.Tensor) else (None, None)
                    for t in tensors
                ]
                self._saved[id(context)] = weakref.ref(context), kept
        except Exception as error:
            self._tape.failed(error)

    def _recognise(self, context: Any, tensors: Any) -> None:
        """What was saved comes back as another tensor object: it is known by its place in memory."""
        try:
            reference, kept = self._saved.get(id(context), (None, []))
            if reference is None or reference() is not context or not self._tape.listens():
                return
            for tensor, (place, value) in zip(tensors, kept, strict=False):
                known = value is None or not isinstance(tensor, torch.Tensor)
                if known or self._values.known_value(tensor) is not None or _place(tensor) != place:
                    continue
                self._values.known[id(tensor)] = (weakref.ref(tensor), value)  # type: ignore[assignment]
        except Exception as error:
            self._tape.failed(error)

    def _arrive(self, call: Call, gradients: Any, frame: FrameType) -> None:
        for output, gradient in zip(call.outputs, gradients, strict=False):
            if output is None or not isinstance(gradient, torch.Tensor):
                continue
            op = self._op(upstream_gradient, Kind.UPSTREAM, (output, *call.upstream), frame)
            value = op.out = self._values.new_value(gradient, op)
            value.autograd_of = output
            self._values.keep_leaf(value, gradient)
            self._tape.put(op, frame)

    def _hand_back(self, call: Call, context: Any, result: Any, frame: FrameType) -> None:
        gradients = result if isinstance(result, (tuple, list)) else (result,)
        place = self._tape.last_return()
        handed: dict[Value, list[tuple[int, Value]]] = {}
        needed = context.needs_input_grad
        taken: set[Value] = set()
        for position, of in call.inputs.items():
            if position >= len(gradients) or position >= len(needed) or not needed[position]:
                continue
            gradient = gradients[position]
            if gradient is None:
                value = self._at_return(torch.zeros_like, (of,), position, place, frame, of.shape)
            elif isinstance(gradient, torch.Tensor):
                known = self._values.value_of(gradient)
                copied = known in taken or known.producer is None or known.producer.kind is Kind.UPSTREAM
                if copied or not _after(known, call):
                    value = self._at_return(view_as, (known,), position, place, frame, known.shape)
                else:
                    value = known
                taken.add(value)
            else:
                continue
            handed.setdefault(of, []).append((position, value))
        pairs: list[tuple[Value, Value]] = []
        for of, parts in handed.items():
            position, value = parts[0]
            for _, other in parts[1:]:  # one tensor as several arguments: its gradient is their sum
                value = self._at_return(torch.add, (value, other), position, place, frame, value.shape)
            op = self._op(returned_gradient, Kind.RETURNED, (of, value), frame)
            op.extra = (call.name, call.arguments[position])
            if place is not None:
                op.code, op.lasti, op.scope = place
            self._tape.put(op, None if place is not None else frame)
            pairs.append((of, value))
        self._tell_next(context, pairs)

    def _at_return(
        self,
        func: Callable[..., Any],
        args: tuple[Value, ...],
        position: int,
        place: tuple[CodeType, int, int] | None,
        frame: FrameType,
        shape: tuple[int, ...],
    ) -> Value:
        """A value that stands for what is returned at `position`, made at the return statement."""
        op = self._op(func, Kind.PURE, args, frame)
        if place is not None:
            op.code, op.lasti, op.scope = place
        op.extra = position
        op.out = Value(op, len(self._tape.recording.ops), shape)
        self._tape.put(op, None if place is not None else frame)
        return op.out  # type: ignore[no-any-return]

    def seeded(self, roots: Any, gradients: Any) -> None:
        """Autograd is given these gradients to begin with."""
        roots = roots if isinstance(roots, (tuple, list)) else (roots,)
        gradients = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
        if not self._calls:
            return
        for root, gradient in zip(roots, gradients, strict=False):
            if isinstance(root, torch.Tensor) and isinstance(gradient, torch.Tensor) and root.ndim:
                pair = (self._values.value_of(root), self._values.value_of(gradient))
                self._tell(root.grad_fn, [pair])

    def vector_jacobian(
        self, of: Value, gradient: torch.Tensor, seeds: list[tuple[Value, Value]], frame: FrameType
    ) -> None:
        """`torch.autograd.grad(outputs, of, seeds)`: the gradient that follows from those of the outputs."""
        op = self._op(upstream_gradient, Kind.UPSTREAM, (of, *seeds), frame)
        op.extra = ONLY_THROUGH_THESE
        value = op.out = self._values.new_value(gradient, op)
        self._values.keep_leaf(value, gradient)
        self._tape.put(op, frame)

    def _tell_next(self, context: Any, pairs: list[tuple[Value, Value]]) -> None:
        if pairs:
            for node, _ in context.next_functions:
                self._tell(node, pairs)

    def _tell(self, start: Any, pairs: list[tuple[Value, Value]]) -> None:
        """Tell the nearest Functions towards the inputs what was returned, which their own gradients come from."""
        seen: set[Any] = set()
        pending = [start]
        while pending and len(seen) < _MOST_NODES:
            node = pending.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            call = self._call(node) if isinstance(node, BackwardCFunction) else None
            if call is not None:
                call.upstream += [pair for pair in pairs if pair not in call.upstream]
                continue
            pending += [following for following, _ in node.next_functions]

    def _op(self, func: Callable[..., Any], kind: Kind, args: Any, frame: FrameType) -> Op:
        return Op(len(self._tape.recording.ops), func, kind, args, None, frame.f_code, frame.f_lasti)


def _after(value: Value, call: Call) -> bool:
    """Whether a value was made in the backward pass, and not by the forward pass."""
    made = max((v.birth for v in call.outputs if v is not None), default=0)
    return value.producer is not None and value.producer.index > made


def _differentiable(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _place(tensor: torch.Tensor) -> tuple[Any, ...]:
    if tensor.layout is not torch.strided:
        return (id(tensor),)
    storage = tensor.untyped_storage()._cdata
    return storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


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
