"""Writes what a NumPy program does on the tape, as calls of torch that compute the same."""

import operator
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any

import numpy as np
import torch

from gradcheck.fronts.control import Control
from gradcheck.fronts.crossing import conversion, converted
from gradcheck.fronts.fingerprint import WHOLE, fingerprint
from gradcheck.fronts.numpy import functions as own
from gradcheck.fronts.numpy.memory import of_number, owner_of, shares_memory, tensor_of
from gradcheck.fronts.numpy.operators import computes_alone
from gradcheck.fronts.numpy.registry import Row, Same
from gradcheck.fronts.numpy.shape_rows import WITHOUT_ARRAYS
from gradcheck.fronts.numpy.values import ArrayValues, place_in
from gradcheck.fronts.op import Kind, Op, function_name
from gradcheck.ops import Family, operation_called

_KEPT_WHOLE, _LATER_WHOLE = 10_000, 256
_ARRAYS = (np.ndarray, np.floating)
_TAKEN = (*_ARRAYS, torch.Tensor)
_COMPUTES = (Family.ELEMENTWISE, Family.REDUCTION, Family.PRODUCT, Family.SCAN)
_COMPUTED = (np.ndarray, np.floating, float)


def said(row: Row | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Same | None:
    """What a row of the table says that such a call computes."""
    try:
        return row(*args, **kwargs) if row is not None else None
    except Exception:
        return None


class ArrayWriter:
    def __init__(self, control: Control, arrays: ArrayValues) -> None:
        self._control = control
        self._state = control.state
        self._follower = control.follower
        self._ops = control.recording.ops
        self._arrays = arrays
        self._known = arrays.known_value

    def is_array(self, thing: Any) -> bool:
        return isinstance(thing, _ARRAYS) or (type(thing) is float and self._known(thing) is not None)

    def knows(self, thing: Any) -> bool:
        """Whether it was seen where it comes from."""
        return self._known(thing) is not None

    def concerns(self, result: Any, *operands: Any) -> bool:
        """Whether an operation belongs on the tape."""
        if not self._state.records or not isinstance(result, _COMPUTED):
            return False
        # What is made of plain numbers alone (`np.cos(np.pi * step / most)`) is one as well.
        return any(map(self.is_array, operands)) and any(
            isinstance(each, (np.ndarray, torch.Tensor)) or self._known(each) is not None for each in operands
        )

    # -- calls that change nothing ---------------------------------------------------------------------------------

    def write(
        self,
        frame: FrameType,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
    ) -> None:
        """A torch call that computes what `result` is."""
        if not self._state.records or self._known(result) is not None:
            return
        tracer = self._follower.tracer
        tracer.hold()
        try:
            with self._state.guard, self._state.unrecorded:
                if operation_called(function_name(function)).family in _COMPUTES:
                    if _mixes_types(args, result):
                        function = own.as_floats(function)
                    elif any(getattr(a, "dtype", None) == np.bool_ for a in args):
                        function = own.as_integers(function)
                encode = self._arrays.encode
                encoded = tuple([encode(a) for a in args])
                named = {name: encode(a) for name, a in kwargs.items()} or None
                op = Op(len(self._ops), function, Kind.PURE, encoded, named, frame.f_code, frame.f_lasti)
                self._finish(op, frame, result, args[0] if args else None)
        finally:
            tracer.go_on()

    def _finish(self, op: Op, frame: FrameType, result: Any, of: Any) -> None:
        many = isinstance(result, (list, tuple))
        made = [self._arrays.new_value(each, op, of) for each in (result if many else [result])]
        op.out = tuple(made) if many else made[0]
        self._written(op, frame, result, all(value.root is not value for value in made))

    def _written(self, op: Op, frame: FrameType, result: Any, views: bool) -> None:
        if not views:
            op.fingerprint = self._fingerprint(result)
        self._ops.append(op)
        self._control.written()
        self._follower.called(op, frame)

    def _fingerprint(self, result: Any) -> Any:
        if isinstance(result, (list, tuple)):
            return tuple(self._fingerprint(each) for each in result)
        if isinstance(result, (float, np.floating)):
            return of_number(result)
        whole = WHOLE if len(self._ops) < _KEPT_WHOLE else _LATER_WHOLE
        return fingerprint(tensor_of(result), whole)

    def item(self, frame: FrameType, a: Any, key: Any, result: Any) -> None:
        if not isinstance(result, (np.ndarray, np.floating)):
            return
        key = plain_key(key)
        keys = key if isinstance(key, tuple) else (key,)
        not_as_torch = any(
            (k.step or 1) < 0 if isinstance(k, slice) else getattr(k, "dtype", None) == np.uint8 for k in keys
        )
        function: Callable[..., Any] = own.element
        if isinstance(result, np.ndarray):
            function = own.arranged(operator.getitem) if not_as_torch else torch.Tensor.__getitem__
        self.write(frame, function, (a, key), {}, result)

    def called(
        self, frame: FrameType, function: Any, row: Row | None, args: tuple[Any, ...],
        kwargs: dict[str, Any], result: Any,
    ) -> None:  # fmt: skip
        """`function`, which a row may know, has returned `result`."""
        if not self._state.records:
            return
        many = isinstance(result, (list, tuple)) and result and all(isinstance(r, np.ndarray) for r in result)
        if not many and (not isinstance(result, _COMPUTED) or self._known(result) is not None):
            return
        if not self._has_array((args, kwargs)) and function not in WITHOUT_ARRAYS:
            return
        name = getattr(function, "__name__", "")
        if name in ("item", "float", "tolist") and args and np.size(args[0]) == 1:
            if np.ndim(args[0]):  # the one element of an array: `float(b)`
                self.write(frame, own.element, (args[0], (0,) * np.ndim(args[0])), {}, result)
            else:
                self.same_number(args[0], result)
            return
        same = said(row, args, kwargs)
        if same is None:
            if function in WITHOUT_ARRAYS and not self._has_array((args, kwargs)):
                return  # a leaf
            owner = next((owner_of(a) for a in args if shares_memory(result, a)), None)
            if owner is not None and owner.dtype == result.dtype:
                if owner is not result:  # a view of it, whatever made it
                    args = owner, *place_in(owner, result)
                    self.write(frame, own.part_of_memory, args, {}, result)
                return
            bound = isinstance(getattr(function, "__self__", None), np.ndarray)
            counts = all(np.asarray(each).dtype.kind in "biu" for each in (result if many else [result]))
            if counts and computes_alone(function, args):
                same = own.by_numpy(getattr(type(args[0]), name) if bound else function), args, kwargs
            else:
                taken = (a for a in (*args, *kwargs.values()) if isinstance(a, (*_TAKEN, float, list, tuple)))
                same = own.unknown(name), tuple(taken), {}
        call, inputs, named = same
        inputs = tuple([self._operand(frame, each) for each in inputs])
        self.write(frame, call, inputs, named, result)

    def crossed(self, frame: FrameType, array: np.ndarray[Any, Any], made: torch.Tensor) -> None:
        """`torch.from_numpy(array)`."""
        if not self._state.records:
            return
        with self._state.guard, self._state.unrecorded:
            source = self._arrays.value_of(array)
            if source is not None and self._known(made) is None:
                op = conversion(len(self._ops), source, frame)
                shared = converted(op, tensor_of(array), made)
                value = op.out = self._arrays.values.new_value(made, op)
                if shared:
                    value.root = source.root
                self._written(op, frame, made, views=shared)

    def unseen(self, function: Any) -> AbstractContextManager[None]:
        """While a function of the person's runs that has no hooks, nothing is recorded: what others make of what it
        computes would seem to come from nowhere. A library's only calls the person's."""
        code = getattr(function, "__func__", function).__code__
        return self._state.unrecorded if self._follower.is_user(code) else nullcontext()

    def made_unseen(
        self, frame: FrameType, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """`function`, which nobody sees into, has returned `result`: its new arrays were computed from what it was given,
        unless that has no derivative."""
        if not any(isinstance(a, np.ndarray) and a.dtype.kind in "fc" for a in (*args, *kwargs.values())):
            return
        for each in result if isinstance(result, (list, tuple)) else [result]:
            if (
                isinstance(each, np.ndarray)
                and self._known(each) is None
                and self._known(owner_of(each)) is None
            ):
                self.called(frame, function, None, args, kwargs, each)

    def _operand(self, frame: FrameType, thing: Any) -> Any:
        """Lists of numbers and of arrays are arrays for NumPy."""
        if not isinstance(thing, list) or not thing:
            return thing
        if isinstance(thing[0], (int, float, list, np.generic, np.ndarray)):
            if self._has_array(thing):
                with_result = np.array(thing)
                self.write(frame, own.stacked, (thing,), {}, with_result)
                return with_result
            return np.asarray(thing)
        return thing

    def _has_array(self, thing: Any, depth: int = 3) -> bool:
        if isinstance(thing, _TAKEN):
            return True
        if type(thing) is float:
            return self._known(thing) is not None
        if depth and isinstance(thing, (list, tuple)):
            return any(self._has_array(each, depth - 1) for each in thing[:400])
        if depth and isinstance(thing, dict):
            return any(self._has_array(each, depth - 1) for each in thing.values())
        return False

    def same_number(self, of: Any, number: Any) -> None:
        with self._state.guard, self._state.unrecorded:
            value = self._arrays.value_of(of) if self.is_array(of) else None
            if value is not None and value.shape == () and isinstance(number, float):
                self._arrays.also(number, value)


def _mixes_types(args: tuple[Any, ...], result: Any) -> bool:
    dtype = getattr(result, "dtype", None)
    return getattr(dtype, "kind", None) == "f" and any(
        isinstance(a, (torch.Tensor, bool)) or (isinstance(a, (np.ndarray, np.generic)) and a.dtype != dtype)
        for a in args
    )


def plain_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple([plain_key(k) for k in key])
    return np.asarray(key) if isinstance(key, (list, range)) else key
