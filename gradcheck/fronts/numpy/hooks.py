"""What a rewritten NumPy program calls in place of its operators and calls: each makes the operation, and writes it down."""

import random
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.fronts.numpy import scipy_rows as scipy_rows
from gradcheck.fronts.numpy.changes import ChangesWriter
from gradcheck.fronts.numpy.more_rows import joined_by_index
from gradcheck.fronts.numpy.operators import ARRAYS, FLIPPED, INERT, ITERATE, METHODS, PLAIN, is_of_numpy
from gradcheck.fronts.numpy.registry import methods, row_of, unknown
from gradcheck.fronts.numpy.rows import rows
from gradcheck.fronts.numpy.shape_rows import changed_at, changes, changing_methods, put_along, transposed
from gradcheck.program.array_calls import goes_through_hooks
from gradcheck.program.array_hooks import IN_PLACE, OPERATORS, UNARY, PlainHooks
from gradcheck.program.hooked_code import is_followed

_OURS = str(Path(__file__).parents[2])
# Those that the torch front does not see: all others are functions of torch like any.
_INTO_TORCH = frozenset({torch.from_numpy, torch.Tensor, torch.FloatTensor, torch.DoubleTensor})
_GENERATORS = (np.random.RandomState, np.random.Generator, random.Random)
_JOINERS = frozenset(map(type, joined_by_index))  # `np.c_[a, b]`


class Hooks(PlainHooks):
    """Served while `writer` is there; without one, every operation is made and nothing else."""

    def __init__(self, hooked: Collection[str]) -> None:
        """`hooked` are the files that were compiled with hooks."""
        self.writer: ChangesWriter | None = None
        self._hooked = hooked
        self._followed: dict[int, tuple[types.CodeType, bool]] = {}

    # -- operators -----------------------------------------------------------------------------------------------

    def binop(self, name: str, a: Any, b: Any) -> Any:
        return self._binop(name, a, b, sys._getframe(1))

    def _binop(self, name: str, a: Any, b: Any, frame: types.FrameType) -> Any:
        return self._written(name, a, b, OPERATORS[name](a, b), frame)

    def _written(self, name: str, a: Any, b: Any, result: Any, frame: types.FrameType) -> Any:
        writer = self.writer
        if writer is None or (type(a) in INERT and type(b) in INERT) or not writer.concerns(result, a, b):
            return result
        of, args = (name, (a, b)) if writer.is_array(a) else (FLIPPED.get(name, f"r{name}"), (b, a))
        writer.write(frame, getattr(Tensor, f"__{of}__"), args, {}, result)
        return result

    def binop_of(self, name: str, a: Any, b: Any, of_a: str | None, of_b: str | None) -> Any:
        """Of names that the program moves: a plain number under such a name is a parameter."""
        writer, frame = self.writer, sys._getframe(1)
        if writer is None or not (type(a) in PLAIN or type(b) in PLAIN):
            return self._binop(name, a, b, frame)
        result = OPERATORS[name](a, b)
        left = writer.parameter(frame, of_a, a, result) if writer.is_array(b) else None
        right = writer.parameter(frame, of_b, b, result) if writer.is_array(a) else None
        if left is None and right is None:
            return self._written(name, a, b, result, frame)
        args = a if left is None else left, b if right is None else right
        writer.write(frame, getattr(Tensor, f"__{name}__"), args, {}, result)
        return result

    def unary(self, name: str, a: Any) -> Any:
        result = UNARY[name](a)
        writer = self.writer
        if writer is not None and type(a) not in INERT and writer.concerns(result, a):
            writer.write(sys._getframe(1), getattr(Tensor, f"__{name}__"), (a,), {}, result)
        return result

    def transposed(self, a: Any) -> Any:
        result = a.T
        writer = self.writer
        if writer is not None and isinstance(a, np.ndarray):
            writer.write(sys._getframe(1), *transposed(a), result)
        return result

    # -- in place ------------------------------------------------------------------------------------------------

    def aug(self, name: str, a: Any, b: Any) -> Any:
        return self._aug(name, a, b, sys._getframe(1))

    def _aug(
        self, name: str, a: Any, b: Any, frame: types.FrameType, of: str | None = None, owner: Any = None
    ) -> Any:
        """`of` is the name, or the attribute of `owner`, that the program moves."""
        writer = self.writer
        if writer is None or (type(a) in INERT and type(b) in INERT):
            return IN_PLACE[name](a, b)
        if isinstance(a, np.ndarray):
            op = writer.before(frame, getattr(Tensor, f"__{name}__"), (a, b), {})
            result = IN_PLACE[name](a, b)
            writer.changed(op, result, a)
            return result
        result = IN_PLACE[name](a, b)
        may_be_one = type(a) in PLAIN and writer.concerns(result, a, b)
        if may_be_one and (number := writer.parameter(frame, of, a, result, owner)):
            writer.write(frame, getattr(Tensor, f"__{name[1:]}__"), (number, b), {}, result)
            return result
        return self._written(name[1:], a, b, result, frame)

    def aug_of(self, name: str, a: Any, b: Any, of: str) -> Any:
        return self._aug(name, a, b, sys._getframe(1), of)

    def aug_item(self, name: str, a: Any, key: Any) -> tuple[Any, ...]:
        return name, a, key, self._item(a, key, sys._getframe(1)), None

    def aug_store(self, held: tuple[Any, ...], b: Any) -> None:
        name, a, key, old, attribute = held
        frame = sys._getframe(1)
        new = self._aug(name, old, b, frame, attribute, a)
        if attribute is not None:
            setattr(a, attribute, new)
        else:
            self._store(a, key, new, frame)

    def set_item(self, a: Any, key: Any, value: Any) -> None:
        self._store(a, key, value, sys._getframe(2))

    def _store(self, a: Any, key: Any, value: Any, frame: types.FrameType) -> None:
        writer = self.writer
        if type(a) is np.flatiter and a.base.flags.c_contiguous:
            a = a.base.reshape(-1)
        if writer is None or not isinstance(a, np.ndarray):
            a[key] = value
            return
        op = writer.before(frame, Tensor.__setitem__, (a, key, value), {})
        a[key] = value
        writer.changed(op, None, a)

    # -- items ---------------------------------------------------------------------------------------------------

    def getitem(self, a: Any, key: Any) -> Any:
        return self._item(a, key, sys._getframe(1))

    def _item(self, a: Any, key: Any, frame: types.FrameType) -> Any:
        result = a[key]
        writer = self.writer
        if writer is not None and type(a) is np.flatiter:
            a, whole = a.base.reshape(-1), a.base
            writer.called(frame, np.reshape, rows[np.reshape], (whole, -1), {}, a)
        if writer is not None and isinstance(a, np.ndarray):
            writer.item(frame, a, key, result)
        elif writer is not None and type(a) in _JOINERS:
            parts = key if isinstance(key, tuple) else (key,)
            writer.called(frame, a, joined_by_index.get(a), parts, {}, result)
        return result

    def each(self, items: Iterable[Any]) -> Any:
        if self.writer is None or not isinstance(items, np.ndarray) or not items.ndim:
            return items
        return self._items(items, sys._getframe(1))

    def _items(self, items: np.ndarray[Any, Any], frame: types.FrameType) -> Iterator[Any]:
        for i, item in enumerate(items):
            if self.writer is not None:
                self.writer.item(frame, items, i, item)
            yield item

    # -- calls ---------------------------------------------------------------------------------------------------

    def callee(self, function: Any) -> Any:
        """The function itself, or one that makes its call and writes it down."""
        writer = self.writer
        if writer is None:
            return function
        kind = type(function)
        if kind is types.FunctionType:
            if is_of_numpy(function):
                return partial(self._call, function)
            return self._of_python(function, function.__code__)
        owner = getattr(function, "__self__", None)
        if isinstance(owner, _GENERATORS):
            return partial(self._drawn, function)
        if kind is types.MethodType and type(function.__func__) is types.FunctionType:
            return self._of_python(function, function.__func__.__code__)
        if kind in METHODS:
            if isinstance(owner, ARRAYS):
                return partial(self._method, function, owner, function.__name__)
            if isinstance(owner, np.ufunc):
                return partial(self._of_ufunc, function, owner)
        try:
            if function in _INTO_TORCH:
                return partial(self._into_torch, function)
            if function in ITERATE:
                return partial(self._iterating, function)
            if function is np.apply_along_axis:
                return self._row_by_row
            if function in rows or function in changes or kind is np.ufunc or function is float:
                return partial(self._call, function)
        except TypeError:  # not hashable
            return function
        return partial(self._call, function) if is_of_numpy(function) else function

    def _of_python(self, function: Any, code: types.CodeType) -> Any:
        # What stands in for one of Python's own functions asks who calls it.
        if code.co_filename.startswith(_OURS) or self._is_followed(code):
            return function
        return partial(self._unfollowed, function)

    def _call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        writer, frame = self.writer, sys._getframe(1)
        change = changes.get(function)
        if writer is None:
            return function(*args, **kwargs)
        if isinstance(function, np.ufunc) and len(args) > function.nin:  # `np.square(x, y)` writes to `y`
            args, kwargs = args[: function.nin], {**kwargs, "out": args[function.nin :]}
        if change is not None or kwargs.get("out") is not None:
            return writer.call_in_place(frame, function, change or row_of(function) or unknown, args, kwargs)
        result = function(*args, **kwargs)
        writer.called(frame, function, row_of(function), args, kwargs, result)
        return result

    def _into_torch(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if self.writer is not None and len(args) == 1 and isinstance(args[0], np.ndarray):
            self.writer.crossed(sys._getframe(1), args[0], result)
        return result

    def _is_followed(self, code: types.CodeType) -> bool:
        known = self._followed.get(id(code))  # by identity, because a code's hash reads all of it
        if known is None:
            # In a file with hooks, a function without one does nothing that needs it: `return p.grad`.
            followed = code.co_filename in self._hooked or is_followed(code.co_filename)
            known = self._followed[id(code)] = code, followed or goes_through_hooks(code)
        return known[1]

    def _unfollowed(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Code without hooks: a library's, or what could not be compiled with them. What it makes is of unknown origin."""
        writer = self.writer
        if writer is None:
            return function(*args, **kwargs)
        with writer.unseen(function):
            result = function(*args, **kwargs)
        frame, row = sys._getframe(1), row_of(function)
        if row is not None and args and isinstance(args[0], np.ndarray):
            writer.called(frame, function, row, args, kwargs, result)
        else:
            writer.made_unseen(frame, function, args, kwargs, result)
        return result

    def _method(self, function: Any, owner: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        writer, frame = self.writer, sys._getframe(1)
        if writer is None:
            return function(*args, **kwargs)
        if name in changing_methods or kwargs.get("out") is not None:
            row = changing_methods.get(name, methods.get(name)) or unknown
            return writer.call_in_place(frame, function, row, (owner, *args), kwargs, bound=True)
        result = function(*args, **kwargs)
        writer.called(frame, function, methods.get(name), (owner, *args), kwargs, result)
        return result

    def _row_by_row(self, function: Any, axis: int, array: Any, *args: Any, **kwargs: Any) -> Any:
        """`np.apply_along_axis`: each row is an item of the array, what the function returns for it a part of the result."""
        writer, frame, whole = self.writer, sys._getframe(1), np.apply_along_axis
        if writer is None or not isinstance(array, np.ndarray):
            result = whole(function, axis, array, *args, **kwargs)
            if writer is not None:
                writer.called(frame, whole, None, (axis, array), {}, result)
            return result
        found: list[Any] = []
        axis %= array.ndim
        others = array.shape[:axis] + array.shape[axis + 1 :]

        def kept(row: Any, *more: Any, **named: Any) -> Any:
            place = [int(i) for i in np.unravel_index(len(found), others)]
            writer.item(frame, array, (*place[:axis], slice(None), *place[axis:]), row)
            found.append(self.callee(function)(row, *more, **named))
            return found[-1]

        result = whole(kept, axis, array, *args, **kwargs)
        is_known = all(map(writer.knows, found))
        row, parts = (put_along, (found, others, axis)) if is_known else (None, (axis, array))
        writer.called(frame, whole, row, parts, {}, result)
        return result

    def _of_ufunc(self, function: Any, ufunc: np.ufunc, *args: Any, **kwargs: Any) -> Any:
        writer, frame = self.writer, sys._getframe(1)
        if writer is not None and function.__name__ == "at":
            return writer.call_in_place(frame, function, changed_at.get(ufunc, unknown), args, kwargs)
        result = function(*args, **kwargs)
        if writer is not None:
            reduction = rows[np.sum] if ufunc is np.add else rows[np.max] if ufunc is np.maximum else None
            reduces = function.__name__ == "reduce" and reduction is not None
            kwargs = {"axis": 0, **kwargs} if reduces and len(args) < 2 else kwargs
            writer.called(frame, function, reduction if reduces else None, args, kwargs, result)
        return result

    def _drawn(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        writer = self.writer
        if writer is not None:
            if function.__name__ == "shuffle" and args:
                writer.shuffled(sys._getframe(1), args[0])
            elif isinstance(result, (np.ndarray, float)):
                writer.drawn(sys._getframe(1), function, args, kwargs, result)
        return result

    def _iterating(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        writer, frame = self.writer, sys._getframe(1)
        if writer is None:
            return function(*args, **kwargs)
        if function is sum or function is max or function is min:
            if function is sum and args and isinstance(args[0], types.GeneratorType):
                args = (list(args[0]), *args[1:])
            result = function(*args, **kwargs)
            whole = {sum: np.sum, max: np.max, min: np.min}[function]
            row = partial(rows[whole], axis=0) if len(args) == 1 and not kwargs else None  # row by row
            writer.called(frame, function, row, args, kwargs, result)
            return result
        items = [self._items(a, frame) if isinstance(a, np.ndarray) and a.ndim else a for a in args]
        return function(*items, **kwargs)

    # -- of nobody's line ------------------------------------------------------------------------------------------

    def sum_of_product(self, a: Any, b: Any, frame: types.FrameType | None) -> Any:
        writer = self.writer
        if writer is None or frame is None:
            return super().sum_of_product(a, b, frame)
        product = a * b
        writer.write(frame, Tensor.__mul__, (a, b), {}, product)
        return self.reduced(product, np.sum, frame) if product.ndim else product

    def reduced(self, a: Any, how: Callable[..., Any], frame: types.FrameType | None) -> Any:
        total = how(a)
        if self.writer is not None and frame is not None:
            self.writer.called(frame, how, rows[how], (a,), {}, total)
        return total

    def added(self, a: Any, b: Any, frame: types.FrameType | None) -> Any:
        total = a + b
        if self.writer is not None and frame is not None:
            self.writer.write(frame, Tensor.__add__, (a, b), {}, total)
        return total

    def view_of(self, a: Any, frame: types.FrameType | None) -> Any:
        view = a[...]
        if self.writer is not None and frame is not None:
            self.writer.write(frame, Tensor.view_as, (a, a), {}, view)
        return view

    def same_number(self, number: float, array: Any) -> None:
        if self.writer is not None:
            self.writer.same_number(number, array)
