"""Hooks in `torch.autograd.Function`: autograd calls `backward` while the mode is off, and hands over copies of what was
saved. While recording, the mode is on there too, and saved tensors are known again."""

import functools
import inspect
import sys
import weakref
from collections.abc import Callable
from types import CodeType
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction, FunctionCtx
from torch.overrides import TorchFunctionMode

from gradcheck.fronts.control import Control
from gradcheck.fronts.tape import Value
from gradcheck.fronts.torch.function_calls import FunctionCalls, place_of
from gradcheck.fronts.torch.function_gradients import FunctionGradients
from gradcheck.fronts.torch.values import Values

_METHODS = ("forward", "setup_context", "backward", "vjp")


class FunctionHooks:
    def __init__(
        self,
        control: Control,
        values: Values,
        calls: FunctionCalls,
        gradients: FunctionGradients,
        mode: TorchFunctionMode,
    ) -> None:
        self._guard, self._unrecorded_state = control.state.guard, control.state.unrecorded
        self._follower = control.follower
        self._values = values
        self._calls = calls
        self._gradients = gradients
        self._mode = mode
        # By context, what was saved for its backward pass: each tensor's place in memory, and its value.
        self._saved: weakref.WeakKeyDictionary[Any, list[tuple[Any, Value | None]]] = (
            weakref.WeakKeyDictionary()
        )
        self._user: dict[type, bool] = {}
        self._undo: list[tuple[Any, str, Any]] = []

    def install(self) -> None:
        hooks, calls = self, self._calls
        plain_apply = torch.autograd.Function.__dict__["apply"]

        def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
            call = plain_apply.__get__(None, cls)
            if not calls.listens() or not hooks._is_user(cls):
                return call(*args, **kwargs)
            return calls.apply(cls, call, args, kwargs)

        self._patch(torch.autograd.Function, "apply", classmethod(apply))
        for method in ("apply", "apply_boxed"):
            original = BackwardCFunction.__dict__.get(method)
            if original is not None:
                self._patch(BackwardCFunction, method, self._backward(original, method == "apply_boxed"))
        plain_save = FunctionCtx.save_for_backward

        def save_for_backward(context: Any, *tensors: Any) -> None:
            plain_save(context, *tensors)
            hooks._saving(context, tensors)

        self._patch(FunctionCtx, "save_for_backward", save_for_backward)
        for name in ("saved_tensors", "saved_variables"):  # the second is its old name
            self._patch(BackwardCFunction, name, self._saved_by(getattr(BackwardCFunction, name)))
        if "handle_torch_function" not in torch.autograd.backward.__code__.co_names:
            self._patch(torch.autograd, "backward", _shown_to_modes(torch.autograd.backward))
        for owner in (torch.autograd, sys.modules["torch.autograd.gradcheck"]):
            for name in ("gradcheck", "gradgradcheck"):
                self._patch(owner, name, self._unrecorded(getattr(owner, name)))

    def remove(self) -> None:
        for owner, name, before in reversed(self._undo):
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._undo.clear()
        self._calls.of_context.clear()
        self._saved.clear()

    def _patch(self, owner: Any, name: str, replacement: Any) -> None:
        self._undo.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, replacement)

    def _is_user(self, cls: type) -> bool:
        known = self._user.get(cls)
        if known is None:
            methods = [getattr(cls, name, None) for name in _METHODS]
            codes = [_code_of(method) for method in methods if inspect.isfunction(method)]
            known = self._user[cls] = any(self._follower.is_user(code) for code in codes)
        return known

    def _saved_by(self, plain: Any) -> property:
        def saved(context: Any) -> Any:
            tensors = plain.__get__(context)
            self._recognise(context, tensors)
            return tensors

        return property(saved)

    def _backward(self, original: Callable[..., Any], boxed: bool) -> Callable[..., Any]:
        def apply(context: Any, *args: Any) -> Any:
            call = self._calls.of_context.get(context) if self._calls.listens() else None
            frame = self._follower.caller() if call is not None else None
            if call is None or frame is None:
                return original(context, *args)
            with self._guard:
                self._gradients.arrived(call, args[0] if boxed else args, frame)
            tracer = self._follower.tracer
            tracer.last_return = None
            tracer.go_on()
            result = self._with_mode(original, context, *args)
            with self._guard:
                if self._calls.listens():
                    self._gradients.returned(call, context, result, frame)
            return result

        apply.__name__ = original.__name__
        return apply

    def _unrecorded(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """A test of the person's of their own, which calls a function some hundred times: no step of the program."""

        @functools.wraps(test)
        def tests(*args: Any, **kwargs: Any) -> Any:
            with self._unrecorded_state:
                return test(*args, **kwargs)

        return tests

    def _with_mode(self, original: Callable[..., Any], *args: Any) -> Any:
        if self._mode in torch.overrides._get_current_function_mode_stack():
            return original(*args)
        with self._mode:
            return original(*args)

    def _saving(self, context: Any, tensors: tuple[Any, ...]) -> None:
        with self._guard:
            if self._calls.listens() and isinstance(context, BackwardCFunction):
                self._saved[context] = [
                    (place_of(t), self._values.known_value(t))
                    if isinstance(t, torch.Tensor)
                    else (None, None)
                    for t in tensors
                ]

    def _recognise(self, context: Any, tensors: Any) -> None:
        """What was saved comes back as another tensor object: it is known by its place in memory."""
        with self._guard:
            if not self._calls.listens():
                return
            for tensor, (place, value) in zip(tensors, self._saved.get(context, ()), strict=False):
                if value is None or not isinstance(tensor, torch.Tensor):
                    continue
                if self._values.known_value(tensor) is None and place_of(tensor) == place:
                    self._values.remember(tensor, value)


def _shown_to_modes(plain: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.autograd.backward`, which older versions of torch (2.6) do not show to the mode."""

    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        given = (tensors,) if isinstance(tensors, torch.Tensor) else tuple(tensors)
        if torch.overrides.has_torch_function(given):
            return torch.overrides.handle_torch_function(plain, given, tensors, *args, **kwargs)
        return plain(tensors, *args, **kwargs)

    return backward


def _code_of(method: Any) -> CodeType:
    code: CodeType = inspect.unwrap(method).__code__
    return code
