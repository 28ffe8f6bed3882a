"""Which recorded value an array or a number of a NumPy program is."""

import weakref
from typing import Any, cast

import numpy as np
import torch

from gradcheck.fronts.numpy.memory import Held, Kept, owner_of, shares_memory, tensor_of
from gradcheck.fronts.op import Number, Op, Value
from gradcheck.fronts.torch.values import Values

Numbers = (np.floating, float)


class ArrayValues:
    """Adds arrays to the values of a tape. Numbers that were computed of arrays are values too, by their identity."""

    def __init__(self, ops: list[Op], values: Values) -> None:
        self._ops = ops
        self.values = values
        self.known_value = values.known_value
        # By the identity of an array that nobody holds, the one that has all of its memory: `images[:, rows, columns]`.
        self._whole: dict[int, weakref.ref[np.ndarray[Any, Any]]] = {}

    def new_value(self, thing: Any, op: Op | None, of: Any = None) -> Value:
        """`of` is what the op made it from first: a view lies in its memory."""
        values = self.values
        if isinstance(thing, np.ndarray):
            value = Value(op, len(self._ops), thing.shape, cast(Any, Held(thing)))
            values.known[id(thing)] = weakref.ref(thing), value
            owner = thing.base if op is not None else None
            if isinstance(owner, np.ndarray) and owner.size == thing.size and owner.base is None:
                self._whole[id(owner)] = weakref.ref(thing)
        else:
            kept = Kept(thing)
            value = Value(op, len(self._ops), (), cast(Any, kept.tensor))
            values.known[id(thing)] = cast(Any, kept), value
        if op is not None:
            first = op.args[0] if op.args else None
            if isinstance(first, Value) and shares_memory(thing, of):
                value.root = first.root
        else:
            value.earlier = values.earlier_value(thing)
        return value

    def also(self, number: float, value: Value) -> None:
        """A Python number is the value as well: `loss.item()`."""
        self.values.known[id(number)] = cast(Any, Kept(number)), value

    def before_change(self, array: np.ndarray[Any, Any]) -> None:
        tensor = tensor_of(array)
        if tensor is not None:
            self.values.before_change_of(self.known_value(array), tensor)

    def value_of(self, thing: Any) -> Value | None:
        """The value of an argument; None for what torch has no type for. What no recorded op made is a leaf."""
        value = self.known_value(thing)
        if value is not None and (value.producer is not None or value.data is not None):
            return value
        if value is None and isinstance(thing, np.ndarray):
            owner = owner_of(thing)
            of = self.known_value(owner) if owner is not thing else None
            whole = self._whole.get(id(owner)) if of is None else None
            held = whole() if whole is not None else None
            if held is not None and held is not thing and shares_memory(held, thing):
                owner, of = held, self.known_value(held)
            if of is not None:
                return self._view(thing, owner, of)
        tensor = tensor_of(thing)
        if tensor is None:
            return None
        value = value or self.new_value(thing, None)
        self.values.keep_leaf(value, tensor)
        return value

    def _view(self, thing: np.ndarray[Any, Any], owner: np.ndarray[Any, Any], of: Value) -> Value | None:
        """A view of something known that was made unseen: by a loop over rows, by an attribute."""
        self.value_of(owner)
        last = self._ops[-1] if self._ops else None
        if last is None or owner.dtype != thing.dtype:
            return None
        from gradcheck.fronts.numpy.functions import part_of_memory
        from gradcheck.fronts.op import Kind

        args = of, *place_in(owner, thing)
        op = Op(len(self._ops), part_of_memory, Kind.PURE, args, None, last.code, last.lasti)
        op.scope = last.scope
        op.out = self.new_value(thing, op, owner)
        self._ops.append(op)
        return cast(Value, op.out)

    def argument(self, thing: Any) -> Any:
        """What stands for it among the arguments of a call of torch."""
        if isinstance(thing, np.ndarray):
            return self.encode(thing)
        value = self.known_value(thing) if isinstance(thing, np.floating) else None
        return thing if value is None else Number(float(thing), value)

    def encode(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is np.ndarray or isinstance(thing, np.ndarray):
            value = self.value_of(thing)
            return thing if value is None else value
        if kind is float:
            return self.known_value(thing) or self.values.encode(thing)
        if isinstance(thing, np.generic):
            if isinstance(thing, np.floating):
                return self.value_of(thing)
            return thing.item()
        if kind is tuple or kind is list:
            return kind([self.encode(x) for x in thing])
        if kind is slice:
            return slice(self.encode(thing.start), self.encode(thing.stop), self.encode(thing.step))
        if isinstance(thing, torch.Tensor):
            return self.values.value_of(thing)
        return thing


def place_in(owner: np.ndarray[Any, Any], view: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    """What `part_of_memory` takes beside the owner: shape, strides, offset, and the owner's axes as they lie in memory, the
    outermost first."""
    apart = view.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    strides = tuple(stride // view.itemsize for stride in view.strides)
    order = sorted(range(owner.ndim), key=lambda axis: -owner.strides[axis])
    return view.shape, strides, apart // view.itemsize, tuple(order)
