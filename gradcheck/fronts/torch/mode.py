"""Sees every torch call of the program.

The person's call is made exactly once, with the person's own arguments, and its own result is handed back.
"""

import sys
from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

from gradcheck.fronts.control import Control
from gradcheck.fronts.tape import Kind
from gradcheck.fronts.torch.calls import CHANGES, Calls
from gradcheck.fronts.torch.kinds import is_categorical, kind_of, known_kinds
from gradcheck.fronts.torch.mode_stack import in_transform, put_back, take_out
from gradcheck.fronts.torch.values import Values, WithoutSubclasses
from gradcheck.fronts.torch.writer import Writer


class CallMode(TorchFunctionMode):
    def __init__(self, control: Control, calls: Calls, writer: Writer, values: Values) -> None:
        super().__init__()
        self._control = control
        self._state = control.state
        self._follower = control.follower
        self._calls = calls
        self._writer = writer
        self._values = values
        self._place: int | None = None  # in torch's stack of modes, while it is out of it

    def take_out(self) -> None:
        self._place = take_out(self)

    def put_back(self) -> None:
        if self._place is not None:
            put_back(self, self._place)
            self._place = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if kwargs is None:
            kwargs = {}
        state = self._state
        if state.unrecorded.level or not state.on:
            return func(*args, **kwargs)
        if state.paused:
            return self._unrecorded(func, args, kwargs)
        if in_transform():
            return func(*args, **kwargs)  # its tensors are wrappers that are gone when the transform is over
        op = frame = None
        tracer = self._follower.tracer
        tracer.hold()
        try:
            try:
                kind = known_kinds.get(func) or kind_of(func)
                if kind is not Kind.IGNORE:
                    frame = self._follower.user_frame(sys._getframe(1))
                    if frame is not None:
                        with WithoutSubclasses():
                            op = self._calls.prepared(func, kind, args, kwargs, frame)
            except Exception as error:
                op = None
                state.failed(error)
            if op is not None and op.kind is Kind.BACKWARD:
                self._writer.begins_backward(op)
                tracer.go_on()  # it calls functions of the person's
            result = func(*args, **kwargs)  # the person's call: its errors are the person's
            if op is not None and frame is not None:
                try:
                    with WithoutSubclasses():
                        self._writer.write(op, result)
                        self._follower.called(op, frame)
                except Exception as error:
                    state.failed(error)
        finally:
            tracer.go_on()
        return result

    def _unrecorded(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call while nothing is recorded: only what is on the tape already must not change with it."""
        try:
            kind = known_kinds.get(func) or kind_of(func)
            if kind in CHANGES:
                self._values.before_change(kind, args, kwargs)
            elif kind is Kind.RANDOM and is_categorical(func) and not self._state.ended_early:
                self._control.drew_category()
        except Exception as error:
            self._state.failed(error)
        return func(*args, **kwargs)
