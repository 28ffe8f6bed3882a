"""Writes what changes an array in place, and what is drawn at random."""

from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import torch

from gradcheck.fronts.control import Control
from gradcheck.fronts.namespace import names_in
from gradcheck.fronts.numpy import functions as own
from gradcheck.fronts.numpy.draw import Draw
from gradcheck.fronts.numpy.memory import tensor_of
from gradcheck.fronts.numpy.operators import PLAIN
from gradcheck.fronts.numpy.registry import Row
from gradcheck.fronts.numpy.values import ArrayValues
from gradcheck.fronts.numpy.writer import ArrayWriter, plain_key, said
from gradcheck.fronts.op import Kind, Op, Value
from gradcheck.ops import CATEGORICAL

_MOST_SHUFFLED = 1_000_000  # elements


class ChangesWriter(ArrayWriter):
    def __init__(self, control: Control, arrays: ArrayValues) -> None:
        super().__init__(control, arrays)
        self._numbers: dict[tuple[int, str], tuple[Any, Value]] = {}  # by where a name is, and the name

    def before(
        self, frame: FrameType, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Op | None:
        """The op, before it changes its first argument (or `out`)."""
        if not self._state.records:
            self._about_to_change(kwargs.get("out", args[0] if args else None))
            return None
        tracer = self._follower.tracer
        tracer.hold()
        try:
            with self._state.guard, self._state.unrecorded:
                plain = [isinstance(a, list) and not any(isinstance(x, np.ndarray) for x in a) for a in args]
                args = tuple([np.asarray(a) if one else a for a, one in zip(args, plain, strict=True)])
                if function is torch.Tensor.__setitem__:
                    args = (args[0], plain_key(args[1]), *args[2:])
                    function = own.setitem
                encode = self._arrays.encode
                encoded = tuple([encode(a) for a in args])
                named = {name: encode(a) for name, a in kwargs.items()} or None
                op = Op(len(self._ops), function, Kind.MUTATE, encoded, named, frame.f_code, frame.f_lasti)
                self._about_to_change(kwargs.get("out", args[0] if args else None))
                self._frame = frame
                return op
        finally:
            tracer.go_on()
        return None

    def changed(self, op: Op | None, result: Any, of: Any) -> None:
        if op is None:
            return
        with self._state.guard, self._state.unrecorded:
            op.index = len(self._ops)
            value = self._known(of)
            op.out = value if result is of else None
            op.fingerprint = self._fingerprint(of)
            self._ops.append(op)
            self._control.written()
            self._follower.called(op, self._frame)

    def _about_to_change(self, array: Any) -> None:
        if isinstance(array, np.ndarray):
            self._arrays.before_change(array)

    def call_in_place(
        self, frame: FrameType, function: Any, row: Row, args: tuple[Any, ...], kwargs: dict[str, Any], *,
        bound: bool = False,
    ) -> Any:  # fmt: skip
        given = args[1:] if bound else args
        out = kwargs.get("out")
        target = out[0] if isinstance(out, tuple) else out if out is not None else args[0] if args else None
        if not isinstance(target, np.ndarray):
            return function(*given, **kwargs)
        same = said(row, args, kwargs)
        if same is None and out is not None:  # a row that knows no `out`
            same = said(row, args, {name: a for name, a in kwargs.items() if name != "out"})
            same = same and (same[0], same[1], {**same[2], "out": target})
        if same is None:
            same = own.unknown(getattr(function, "__name__", "")), (target, *args), {}
        op = self.before(frame, *same)
        result = function(*given, **kwargs)
        self.changed(op, result, target)
        return result

    # -- plain numbers ---------------------------------------------------------------------------------------------

    def parameter(
        self, frame: FrameType, name: str | None, number: Any, result: Any, owner: Any = None
    ) -> Value | None:
        """The value that a plain number is under a name that the program moves; None if it is none, or known already. (Then
        this may be the first that is seen of its name.)"""
        if name is None or type(number) not in PLAIN or not self._state.records or not _is_float(result):
            return None
        known = self._known(number) if type(number) is float else None
        first, _, attribute = name.partition(".")
        if attribute:
            owner = names_in(frame).get(first)
        inner = first in frame.f_code.co_varnames or first in frame.f_code.co_cellvars
        place = owner if owner is not None else frame if inner else frame.f_globals
        key = id(place), attribute or name
        with self._state.guard, self._state.unrecorded:
            found = self._numbers.get(key)
            if found is not None and found[0] is number and found[1].birth <= len(self._ops):
                return found[1] if known is None else None
            shown = name if owner is None or attribute else f"self.{name}"
            bindings, scope = self._control.bindings, self._follower.tracer.scope_of(frame)
            value = known
            if value is None:
                # Not known by its identity: two names may hold the same 0.0.
                value = Value(None, bindings.plain_since(shown, scope), ())
                self._arrays.values.keep_leaf(value, torch.tensor(float(number), dtype=torch.float64))
            self._numbers[key] = number, value
            bindings.bound_number(shown, value, scope, frame)
            return value if known is None else None
        return None

    # -- draws -----------------------------------------------------------------------------------------------------

    def drawn(
        self,
        frame: FrameType,
        method: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
    ) -> None:
        if not self._state.records:
            return
        if any(isinstance(a, np.ndarray) for a in (*args, *kwargs.values())):
            args, kwargs = (), {}  # what depends on an array stays as it was drawn
        with self._state.guard, self._state.unrecorded:
            function = Draw(method)
            op = Op(len(self._ops), function, Kind.RANDOM, args, kwargs or None, frame.f_code, frame.f_lasti)
            tensor = tensor_of(result)
            if tensor is None:
                return
            op.out = self._arrays.new_value(result, op)
            self._arrays.values.keep_leaf(op.out, tensor)
            if op.operation is CATEGORICAL:
                self._control.drew_category()
            self._written(op, frame, result, views=False)

    def shuffled(self, frame: FrameType, array: Any) -> None:
        """What was computed and holds now the same in another order is data."""
        known = self._known(array) if isinstance(array, np.ndarray) else None
        if known is not None:
            copy = array.copy() if array.size <= _MOST_SHUFFLED else None
            function: Any = own.unknown("shuffle") if copy is None else torch.Tensor.__setitem__
            self.changed(self.before(frame, function, (array, slice(None), copy), {}), None, array)


def _is_float(result: Any) -> bool:
    return type(result) is float or getattr(getattr(result, "dtype", None), "kind", "") == "f"
