"""The recorder: sees every torch call of the person's program and writes it on the tape.

The person's call is made exactly once, with the person's own arguments, and its own result is handed back.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from gradcheck.program.source import SourceMap, SourceUnit
from gradcheck.recording.gradient_names import Form, parse
from gradcheck.recording.kinds import kind_of, shares_storage
from gradcheck.recording.names import NameTracer
from gradcheck.recording.namespace import tensors_of_namespace
from gradcheck.recording.quiet import Quiet
from gradcheck.recording.steps import StepWatcher
from gradcheck.recording.tape import (
    CHANGE_BUFFERS,
    Binding,
    Kind,
    Mark,
    Number,
    Op,
    PlainBinding,
    Recording,
    Scope,
    Value,
)
from gradcheck.recording.ufuncs import NotATensorError, UfuncBridge, as_tensor

_MAX_OPS = 400_000
_FEW_NUMBERS = 64


class Recorder(TorchFunctionMode):
    """Implements `gradcheck.program.observer.Observer`; the result is `recording`."""

    def __init__(self, sources: SourceMap, at: tuple[int, ...] = (0,)) -> None:
        super().__init__()
        self.recording = Recording(value_of=self._known_value)
        self._sources = sources
        self._quiet = Quiet()
        self._tracer = NameTracer(
            sources,
            self._quiet,
            self._bound,
            self._bound_plain,
            self._entered_scope,
            self._slept,
            self._failed,
        )
        self._ufuncs = UfuncBridge(self._ufunc_called)
        self._steps = StepWatcher(self, at)
        self._known: dict[int, tuple[weakref.ref[torch.Tensor], Value]] = {}
        self._leaves: dict[int | None, list[Value]] = {}  # by storage
        self._of_autograd: list[tuple[weakref.ref[torch.Tensor], Value]] = []
        self._last_bound: dict[tuple[int, str], Value] = {}
        self._last_plain: dict[tuple[int, str], object] = {}  # numbers, and identities of objects
        self._is_user_code: dict[CodeType, bool] = {}
        self._escaped: dict[float, Value] = {}
        self._forgotten = False
        self.attention = False
        self.awake_since = 0  # ops on the tape when loops were last told to report their iterations
        self._on = False
        self._entered = False
        self.paused = False

    # -- Observer ------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._ufuncs.install()
        gc.freeze()  # the tape grows: without this, each full collection walks all of torch's modules as well
        self._on = True
        self._entered = True
        self.__enter__()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        self._on = False
        self._tracer.sleep()
        self._ufuncs.remove()
        gc.unfreeze()
        if self._entered:
            self._entered = False
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def unit_started(self, unit: SourceUnit) -> None:
        self.recording.marks.append(Mark(len(self.recording.ops), "unit", unit.cell or 0))

    def unit_finished(self, unit: SourceUnit, namespace: dict[str, object]) -> None:
        try:
            if not self.paused:
                self.name_namespace(namespace)
            self._steps.unit_finished()
        except Exception as error:
            self._failed(error)

    def iteration_started(self, loop: int, activation: int, index: int, frame: FrameType) -> None:
        self._tracer.hold()
        try:
            with self._quiet:
                self._steps.iteration_started(loop, activation, index, frame)
                if self._forgotten:
                    self._meet(frame)
        except Exception as error:
            self._failed(error)
        finally:
            self._tracer.go_on()

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        self._tracer.hold()
        try:
            with self._quiet:
                left = self._steps.iteration_finished(loop, activation, index, frame)
                if self._forgotten and not self.paused:
                    self._meet(frame)
                return left
        except Exception as error:
            self._failed(error)
            return False
        finally:
            self._tracer.go_on()

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
        self._forgotten = True
        self._known.clear()
        self._last_bound.clear()
        self._last_plain.clear()
        self._escaped.clear()

    def _meet(self, frame: FrameType) -> None:
        """What exists when recording begins again was there before the step, wherever in it it is first used."""
        self._forgotten = False
        for _, tensor, _ in tensors_of_namespace({**frame.f_globals, **frame.f_locals}):
            if self._known_value(tensor) is None:
                self._new_value(tensor, None)

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
        if self._quiet.level or not self._on:
            return func(*args, **kwargs)
        op = frame = None
        self._tracer.hold()
        try:
            try:
                kind = kind_of(func)
                if kind is not Kind.IGNORE:
                    if self.paused:
                        if kind in _CHANGES:
                            self._keep_before_change(kind, args, kwargs)
                    else:
                        frame = self._user_frame(sys._getframe(1))
                        if frame is not None:
                            op = self._before(func, kind, args, kwargs, frame)
            except Exception as error:
                op = None
                self._failed(error)
            if op is not None and op.kind is Kind.BACKWARD:
                self._tracer.go_on()  # it calls functions of the person's
            result = func(*args, **kwargs)  # the person's call: its errors are the person's
            if op is not None and frame is not None:
                try:
                    self._after(op, result)
                    self._wake(frame)
                    op.scope = self._tracer.scope_of(frame)
                except Exception as error:
                    self._failed(error)
        finally:
            self._tracer.go_on()
        return result

    def _failed(self, error: Exception) -> None:
        """A fault of ours must never reach the person's program: it runs on, unrecorded."""
        self._on = False
        self.attention = False
        self._tracer.sleep()
        self.recording.notes.append(
            f"recording ended early, after {len(self.recording.ops):,} tensor operations, by an error inside "
            f"gradcheck: {type(error).__name__}: {error}"
        )

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

    def _before(
        self,
        func: Callable[..., Any],
        kind: Kind,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> Op | None:
        """The op as far as it is known before the call: what the call changes must be looked at now."""
        if kind is Kind.PURE:
            if kwargs and (kwargs.get("out") is not None or kwargs.get("inplace")):
                kind = Kind.MUTATE
        elif kind is Kind.DROPOUT:
            if not _dropout_draws(args, kwargs):
                kind = Kind.PURE
        elif kind is Kind.ESCAPE:
            if not (args and isinstance(args[0], torch.Tensor) and args[0].is_floating_point()):
                return None
            args, kwargs = args[:1], {}
        op = Op(len(self.recording.ops), func, kind, None, None, frame.f_code, frame.f_lasti)
        if kind is Kind.CREATE and args and _holds_data(args[0]):
            return op  # without args: its result is a leaf
        encode, known = self._encode, self._known
        encoded = []
        for argument in args:
            entry = known.get(id(argument))
            # The usual case of `_encode`, in place: a tensor made by a recorded op.
            if entry is not None and entry[0]() is argument and entry[1].producer is not None:
                encoded.append(entry[1])
            else:
                encoded.append(encode(argument))
        op.args = tuple(encoded)
        if kwargs:
            op.kwargs = {name: encode(a) for name, a in kwargs.items()}
        if kind is not Kind.PURE:
            if kind in _CHANGES:
                self._keep_before_change(kind, args, kwargs)
            elif kind is Kind.DROPOUT:
                op.extra = torch.get_rng_state()
            elif kind is Kind.BACKWARD:
                self._keep_before_backward()
        elif func in CHANGE_BUFFERS:
            self._keep_before_change(kind, args[1:3], kwargs)
        op.grad_enabled = torch.is_grad_enabled()
        return op

    def _after(self, op: Op, result: Any) -> None:
        kind = op.kind
        if op.args is None:
            if isinstance(result, torch.Tensor):
                self._keep_leaf(self._new_value(result, None), result)
        elif kind is Kind.ESCAPE:
            self.recording.ops.append(op)
            if type(result) is float and not result.is_integer():
                self._escaped[result] = op.args[0]
        else:
            self._write(op, result)

    def _write(self, op: Op, result: Any) -> None:
        out = op.out = self._encode_result(op, result)
        kind = op.kind
        if kind is not Kind.PURE:
            if kind is Kind.RANDOM:
                for value, tensor in _pairs(out, result):
                    if value.producer is op:
                        self._keep_leaf(value, tensor)
            elif kind is Kind.RANDOM_MUTATE:
                if isinstance(result, torch.Tensor):
                    op.extra = result.detach().clone()
            elif kind is Kind.GRAD_READ:
                if not isinstance(out, Value):
                    return
                if out.producer is op:
                    out.autograd_of = op.args[0]
                    self._keep_leaf(out, result)
                    self._of_autograd.append((weakref.ref(result), out))
            elif out is None and kind is Kind.CREATE:
                return
        elif out is None:
            return
        ops = self.recording.ops
        ops.append(op)
        if len(ops) >= _MAX_OPS:
            self._on = False
            self._tracer.sleep()
            self.recording.notes.append(f"recording ended after {_MAX_OPS:,} tensor operations")

    def _ufunc_called(self, function: Callable[..., Any], inputs: tuple[Any, ...], result: Any) -> None:
        if self._quiet.level or self.paused or not self._on:
            return
        try:
            frame = self._user_frame(sys._getframe(1))
            if frame is None:
                return
            op = Op(len(self.recording.ops), function, Kind.PURE, None, None, frame.f_code, frame.f_lasti)
            with self._quiet:
                tensors = tuple([as_tensor(x) for x in inputs])
                op.args = tuple([self._encode(x) for x in tensors])
                self._write(op, result)
            self._wake(frame)
            op.scope = self._tracer.scope_of(frame)
        except NotATensorError:
            return
        except Exception as error:
            self._failed(error)

    def _wake(self, frame: FrameType) -> None:
        if not self.attention:
            self.awake_since = max(0, len(self.recording.ops) - 1)
            self.attention = self._on
        if self._on:
            self._tracer.wake(frame)

    def _slept(self) -> None:
        """Many lines without an op: loops may run at their own speed again."""
        self.attention = False

    # -- values ----------------------------------------------------------------------------------------------

    def _encode(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is torch.Tensor or isinstance(thing, torch.Tensor):
            return self._value_of(thing)
        if kind is int:
            return thing
        if kind is float:
            source = self._escaped.get(thing)
            return thing if source is None else Number(thing, source)
        if kind is tuple or kind is list:
            encode = self._encode
            return kind([encode(x) for x in thing])
        if kind is dict:
            return {key: self._encode(x) for key, x in thing.items()}
        if kind is slice:
            return slice(self._encode(thing.start), self._encode(thing.stop), self._encode(thing.step))
        if isinstance(thing, (tuple, list)) and not isinstance(thing, torch.Size):
            return tuple([self._encode(x) for x in thing])
        return thing

    def _encode_result(self, op: Op, result: Any) -> Any:
        if isinstance(result, torch.Tensor):
            entry = self._known.get(id(result))
            return entry[1] if entry is not None and entry[0]() is result else self._new_value(result, op)
        if isinstance(result, (tuple, list)):
            return tuple([self._encode_result(op, x) for x in result])
        return None

    def _known_value(self, tensor: torch.Tensor) -> Value | None:
        entry = self._known.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def _new_value(self, tensor: torch.Tensor, op: Op | None) -> Value:
        value = Value(op, len(self.recording.ops), tensor.shape)
        value.requires_grad = tensor.requires_grad
        if op is not None and op.args and (tensor._is_view() or shares_storage(op.func)):
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
        """Keep the tensor as it is now: an alias, which is copied just before the storage is changed in place."""
        value.data = tensor.detach()
        key = _storage(tensor)
        if key is None:
            return
        kept = self._leaves.get(key)
        # Leaves that were given up hold no storage any more, and its address may have been used again.
        if kept is None or (kept[0].data is None and kept[-1].data is None):
            self._leaves[key] = [value]
            return
        if value.producer is None:
            value.root = kept[0].root
        kept.append(value)

    def _keep_before_change(self, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before tensors are changed in place, copy the leaves that share their storage."""
        if kind is Kind.DATA_WRITE:
            return  # lets go of the storage, and does not change it
        changed: Any = kwargs.get("out") if kwargs else None
        if changed is None:
            changed = args if kind is Kind.PURE else args[0] if args else next(iter(kwargs.values()), None)
        for tensor in _tensors_in(changed):
            leaves = self._leaves.pop(_storage(tensor), None)
            for leaf in leaves or ():
                if leaf.data is not None:
                    leaf.data = leaf.data.clone()

    def _keep_before_backward(self) -> None:
        """Autograd adds to the gradients that are there already: what was read of them is another value."""
        for reference, value in self._of_autograd:
            tensor = reference()
            if value.data is not None:
                value.data = value.data.clone()
            if tensor is not None and self._known_value(tensor) is value:
                del self._known[id(tensor)]
                self._leaves.pop(_storage(tensor), None)
        self._of_autograd.clear()

    # -- names -----------------------------------------------------------------------------------------------

    def _bound(
        self,
        name: str,
        tensor: torch.Tensor | None,
        scope: int,
        code: CodeType,
        line: int,
        alias: bool,
        owner: int,
    ) -> None:
        if self.paused or not self._on:
            return
        recording = self.recording
        if tensor is None:
            recording.nones.append((name, code, line, len(recording.ops)))
            return
        entry = self._known.get(id(tensor))
        value = entry[1] if entry is not None and entry[0]() is tensor else self._new_value(tensor, None)
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

    def _bound_plain(self, name: str, value: object, scope: int) -> None:
        if self.paused or not self._on:
            return
        kept = isinstance(value, _KEPT)
        held = value if kept else id(value)
        key = (scope, name)
        if self._last_plain.get(key, _NOTHING) is held:
            return
        self._last_plain[key] = held
        binding = PlainBinding(name, len(self.recording.ops), scope)
        if kept:
            binding.value = value
        else:
            binding.identity = id(value)
            with suppress(TypeError):
                binding.reference = weakref.ref(value)
            binding.attributes = self._tensors_of_object(value)
        self.recording.plain.append(binding)

    def _tensors_of_object(self, thing: object) -> dict[str, Value]:
        attributes = getattr(thing, "__dict__", None)
        if type(attributes) is not dict or isinstance(thing, (type, ModuleType)):
            return {}
        found = {}
        for name, held in list(attributes.items())[:_MOST_ATTRIBUTES]:
            value = self._known_value(held) if isinstance(held, torch.Tensor) else None
            if value is not None:
                found[name] = value
        return found

    def _entered_scope(self, scope: int, frame: FrameType) -> None:
        self.recording.scopes[scope] = Scope(frame.f_code, frame.f_globals)


_NOTHING = object()
_MOST_ATTRIBUTES = 100
_KEPT = (int, float, complex, str, bytes, torch.Size, torch.dtype, torch.device, slice, range, np.generic)
_CHANGES = frozenset({Kind.MUTATE, Kind.RANDOM_MUTATE, Kind.DATA_WRITE})


def _storage(tensor: torch.Tensor) -> int | None:
    """What tells storages apart as long as something holds them; None for a tensor without one (sparse)."""
    try:
        key: int = tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):
        return None
    return key


def _tensors_in(thing: Any) -> Iterator[torch.Tensor]:
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, (tuple, list)):
        for item in thing:
            yield from _tensors_in(item)


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
