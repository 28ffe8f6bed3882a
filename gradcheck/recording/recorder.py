"""The recorder: sees every torch call of the person's program and writes it on the tape.

The person's call is made exactly once, with the person's own arguments, and its own result is handed back.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from gradcheck.program.source import SourceMap, SourceUnit
from gradcheck.recording.gradient_names import Form, parse
from gradcheck.recording.kinds import kind_of
from gradcheck.recording.names import NameTracer
from gradcheck.recording.namespace import tensors_of_namespace
from gradcheck.recording.quiet import Quiet
from gradcheck.recording.steps import StepWatcher
from gradcheck.recording.tape import Binding, Kind, Mark, Number, Op, Recording, Value
from gradcheck.recording.ufuncs import UfuncBridge

_MAX_OPS = 400_000
_FEW_NUMBERS = 64


class Recorder(TorchFunctionMode):
    """Implements `gradcheck.program.observer.Observer`; the result is `recording`."""

    def __init__(self, sources: SourceMap, at: tuple[int, ...] = (0,)) -> None:
        super().__init__()
        self.recording = Recording()
        self._sources = sources
        self._quiet = Quiet()
        self._tracer = NameTracer(sources, self._quiet, self._bound, self._slept)
        self._ufuncs = UfuncBridge(self._ufunc_called, lambda: self._quiet)
        self._steps = StepWatcher(self, at)
        self._known: dict[int, tuple[weakref.ref[torch.Tensor], Value]] = {}
        self._leaves_by_storage: dict[int, list[Value]] = {}
        self._last_bound: dict[tuple[int, str], Value] = {}
        self._is_user_code: dict[CodeType, bool] = {}
        self._escaped: dict[float, Value] = {}
        self.attention = False
        self.awake_since = 0  # ops on the tape when loops were last told to report their iterations
        self._on = False
        self._entered = False
        self.paused = False

    # -- Observer ------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._ufuncs.install()
        self._on = True
        self._entered = True
        self.__enter__()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        self._on = False
        self._tracer.sleep()
        self._ufuncs.remove()
        if self._entered:
            self._entered = False
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def unit_started(self, unit: SourceUnit) -> None:
        self.recording.marks.append(Mark(len(self.recording.ops), "unit", unit.cell or 0))

    def unit_finished(self, unit: SourceUnit, namespace: dict[str, object]) -> None:
        if not self.paused:
            self.name_namespace(namespace)
        self._steps.unit_finished()

    def iteration_started(self, loop: int, activation: int, index: int, frame: FrameType) -> None:
        self._steps.iteration_started(loop, activation, index, frame)

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        return self._steps.iteration_finished(loop, activation, index, frame)

    # -- for the step watcher --------------------------------------------------------------------------------

    def pause(self) -> None:
        """Record nothing until `resume`; the program runs on."""
        self.paused = True
        self._tracer.sleep()

    def resume(self) -> None:
        """Record again, as if the program began here: whatever exists now is a leaf of what follows."""
        self.paused = False
        self.forget()

    def forget(self) -> None:
        self._known.clear()
        self._last_bound.clear()
        self._escaped.clear()

    def flush_names(self, frame: FrameType) -> None:
        self._tracer.flush(frame)

    def name_namespace(self, namespace: dict[str, object]) -> None:
        """Give names to the tensors that no traced statement has named."""
        with self._quiet:
            for name, tensor, owner in tensors_of_namespace(namespace):
                value = self._known_value(tensor)
                if value is not None and (0, name) not in self._last_bound:
                    self._last_bound[0, name] = value
                    self.recording.bindings.append(
                        Binding(name, value, len(self.recording.ops), 0, None, 0, True, owner)
                    )

    # -- TorchFunctionMode ---------------------------------------------------------------------------------

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if kwargs is None:
            kwargs = {}
        if self._quiet.level or self.paused or not self._on:
            return func(*args, **kwargs)
        kind = kind_of(func)
        if kind is Kind.IGNORE:
            return func(*args, **kwargs)
        frame = self._user_frame(sys._getframe(1))
        if frame is None:
            return func(*args, **kwargs)
        return self._record(func, kind, args, kwargs, frame)

    def _user_frame(self, frame: FrameType | None) -> FrameType | None:
        is_user = self._is_user_code
        while frame is not None:
            code = frame.f_code
            known = is_user.get(code)
            if known is None:
                known = is_user[code] = self._sources.is_user(code.co_filename)
            if known:
                return frame
            frame = frame.f_back
        return None

    def _record(
        self,
        func: Callable[..., Any],
        kind: Kind,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> Any:
        if kind is Kind.PURE and kwargs:
            if kwargs.get("out") is not None or kwargs.get("inplace"):
                kind = Kind.MUTATE
        elif kind is Kind.DROPOUT and not _dropout_draws(args, kwargs):
            kind = Kind.PURE
        elif kind is Kind.ESCAPE:
            return self._escape(func, args, kwargs, frame)
        elif kind is Kind.CREATE and args and _holds_data(args[0]):
            result = func(*args, **kwargs)
            if isinstance(result, torch.Tensor):
                self._keep_leaf(self._new_value(result, None), result)
            self._wake(frame)
            return result
        ops = self.recording.ops
        op = Op(len(ops), func, kind, None, None, frame.f_code, frame.f_lasti)
        op.args = tuple([self._encode(a) for a in args])
        if kwargs:
            op.kwargs = {name: self._encode(a) for name, a in kwargs.items()}
        if kind in _CHANGES:
            self._keep_before_change(op)
        elif kind is Kind.DROPOUT:
            op.extra = torch.get_rng_state()
        op.grad_enabled = torch.is_grad_enabled()
        result = func(*args, **kwargs)
        self._write(op, result)
        self._wake(frame)
        return result

    def _write(self, op: Op, result: Any) -> None:
        op.out = self._encode_result(op, result)
        kind = op.kind
        if op.out is None and kind in (Kind.PURE, Kind.CREATE):
            return
        if kind is Kind.RANDOM:
            for value, tensor in _pairs(op.out, result):
                self._keep_leaf(value, tensor)
        elif kind is Kind.RANDOM_MUTATE and isinstance(result, torch.Tensor):
            op.extra = result.detach().clone()
        elif kind is Kind.GRAD_READ and op.out is None:
            return
        elif kind is Kind.GRAD_READ and isinstance(op.out, Value) and op.out.producer is op:
            op.out.autograd_of = op.args[0]
            self._keep_leaf(op.out, result)
        self.recording.ops.append(op)
        if len(self.recording.ops) >= _MAX_OPS:
            self._on = False
            self._tracer.sleep()
            self.recording.notes.append(f"recording ended after {_MAX_OPS:,} tensor operations")

    def _escape(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType
    ) -> Any:
        result = func(*args, **kwargs)
        if isinstance(args[0], torch.Tensor) and args[0].is_floating_point():
            ops = self.recording.ops
            op = Op(len(ops), func, Kind.ESCAPE, (self._encode(args[0]),), None, frame.f_code, frame.f_lasti)
            ops.append(op)
            if isinstance(result, float) and not result.is_integer():
                self._escaped[result] = op.args[0]
        return result

    def _ufunc_called(self, function: Callable[..., Any], inputs: tuple[Any, ...], result: Any) -> None:
        if self._quiet.level or self.paused or not self._on:
            return
        frame = self._user_frame(sys._getframe(1))
        if frame is None:
            return
        op = Op(len(self.recording.ops), function, Kind.PURE, None, None, frame.f_code, frame.f_lasti)
        with self._quiet:
            tensors = tuple(_as_tensor(x) for x in inputs)
            op.args = tuple(self._encode(x) for x in tensors)
            self._write(op, result)
        self._wake(frame)

    def _wake(self, frame: FrameType) -> None:
        if not self.attention:
            self.awake_since = len(self.recording.ops) - 1
            self.attention = True
        self._tracer.wake(frame)

    def _slept(self) -> None:
        """Many lines without an op: loops may run at their own speed again."""
        self.attention = False

    # -- values ----------------------------------------------------------------------------------------------

    def _encode(self, thing: Any) -> Any:
        if isinstance(thing, torch.Tensor):
            return self._value_of(thing)
        kind = type(thing)
        if kind is float:
            source = self._escaped.get(thing)
            return thing if source is None else Number(thing, source)
        if kind is tuple or kind is list:
            return kind([self._encode(x) for x in thing])
        if kind is dict:
            return {key: self._encode(x) for key, x in thing.items()}
        if kind is slice:
            return slice(self._encode(thing.start), self._encode(thing.stop), self._encode(thing.step))
        if isinstance(thing, (tuple, list)):
            return tuple([self._encode(x) for x in thing])
        return thing

    def _encode_result(self, op: Op, result: Any) -> Any:
        if isinstance(result, torch.Tensor):
            known = self._known_value(result)
            return known if known is not None else self._new_value(result, op)
        if isinstance(result, (tuple, list)):
            return tuple([self._encode_result(op, x) for x in result])
        return None

    def _known_value(self, tensor: torch.Tensor) -> Value | None:
        entry = self._known.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def _new_value(self, tensor: torch.Tensor, op: Op | None) -> Value:
        value = Value(op, len(self.recording.ops), tuple(tensor.shape))
        value.requires_grad = tensor.requires_grad
        if op is not None and op.args and (tensor._is_view() or op.name in _SHARES_STORAGE):
            first = op.args[0]
            if isinstance(first, Value):
                value.root = first.root
        self._known[id(tensor)] = (weakref.ref(tensor), value)
        return value

    def _value_of(self, tensor: torch.Tensor) -> Value:
        """The value of an argument. One that no recorded op made is a leaf; it is kept as it is now."""
        entry = self._known.get(id(tensor))
        if entry is not None and entry[0]() is tensor:
            value = entry[1]
            if value.producer is None and value.data is None:
                self._keep_leaf(value, tensor)
            return value
        value = self._new_value(tensor, None)
        self._keep_leaf(value, tensor)
        return value

    def _keep_leaf(self, value: Value, tensor: torch.Tensor) -> None:
        value.data = tensor.detach()
        try:
            key = tensor.untyped_storage().data_ptr()
        except (RuntimeError, NotImplementedError):  # sparse tensors have no storage
            return
        kept = self._leaves_by_storage.setdefault(key, [])
        if value.producer is None and kept:
            value.root = kept[0].root
        kept.append(value)

    def _keep_before_change(self, op: Op) -> None:
        """Before a leaf is changed in place, keep a copy of what it was."""
        with self._quiet:
            for target in op.mutated:
                for leaf in self._leaves_sharing(target):
                    if leaf.data is not None:
                        leaf.data = leaf.data.clone()

    def _leaves_sharing(self, target: Value) -> list[Value]:
        root = target.root
        for key, leaves in self._leaves_by_storage.items():
            if any(leaf.root is root for leaf in leaves):
                return self._leaves_by_storage.pop(key)
        return []

    # -- names -----------------------------------------------------------------------------------------------

    def _bound(
        self, name: str, tensor: torch.Tensor | None, scope: int, code: CodeType, line: int, alias: bool, owner: int
    ) -> None:
        if self.paused or not self._on:
            return
        recording = self.recording
        if tensor is None:
            recording.nones.append((name, code, line, len(recording.ops)))
            return
        value = self._known_value(tensor)
        if value is None:
            value = self._new_value(tensor, None)
        key = (scope, name)
        if self._last_bound.get(key) is not value:
            self._last_bound[key] = value
            if not alias and parse(name).form is not Form.NONE:
                recording.gradient_named.add(value)
            entry = self._known.get(owner)
            of = entry[1] if entry is not None and entry[0]() is not None else None
            recording.bindings.append(
                Binding(name, value, len(recording.ops), scope, code, line, alias, owner, of)
            )


_CHANGES = (Kind.MUTATE, Kind.RANDOM_MUTATE, Kind.DATA_WRITE)

# Results of these share storage with their first argument although torch does not call them views.
_SHARES_STORAGE = {"data", "detach", "as_tensor", "asarray", "view_as", "requires_grad_", "contiguous"}


def _dropout_draws(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    probability = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
    training = kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else True))
    return bool(training) and probability != 0


def _holds_data(thing: Any) -> bool:
    """Whether a tensor is made from more than a handful of Python numbers: data, which is kept as it is."""
    if isinstance(thing, torch.Tensor):
        return False
    if not isinstance(thing, (list, tuple)):
        return hasattr(thing, "__array_interface__") or hasattr(thing, "__len__")
    count = 0
    for item in thing:
        if isinstance(item, torch.Tensor):
            return False
        count += len(item) if isinstance(item, (list, tuple)) else 1
        if count > _FEW_NUMBERS:
            return True
        if isinstance(item, (list, tuple)) and any(isinstance(x, torch.Tensor) for x in item):
            return False
    return False


def _pairs(values: Any, tensors: Any) -> list[tuple[Value, torch.Tensor]]:
    if isinstance(values, Value) and isinstance(tensors, torch.Tensor):
        return [(values, tensors)]
    if isinstance(values, tuple) and isinstance(tensors, (tuple, list)):
        return [pair for v, t in zip(values, tensors, strict=True) for pair in _pairs(v, t)]
    return []


def _as_tensor(thing: Any) -> Any:
    """A NumPy array as a tensor; a NumPy number as a Python number."""
    if isinstance(thing, torch.Tensor):
        return thing
    if hasattr(thing, "__array_interface__") and getattr(thing, "ndim", 0) == 0 and hasattr(thing, "item"):
        return thing.item()
    if hasattr(thing, "__array_interface__"):
        return torch.as_tensor(thing)
    return thing
