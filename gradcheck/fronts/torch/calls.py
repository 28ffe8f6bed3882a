"""A call of the person's as an op, before it is made: its kind for these arguments, and what it is about to change."""

from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np
import torch

from gradcheck import ops as vocabulary
from gradcheck.fronts import arrays, crossing
from gradcheck.fronts.markers import view_as
from gradcheck.fronts.numpy.functions import stacked_as
from gradcheck.fronts.tape import Kind, Op, Value, values_in
from gradcheck.fronts.torch.function_calls import FunctionCalls
from gradcheck.fronts.torch.values import Values

CHANGES = frozenset({Kind.MUTATE, Kind.RANDOM_MUTATE, Kind.DATA_WRITE})
_TO_NUMPY: frozenset[Any] = frozenset((torch.Tensor.numpy, torch.Tensor.__array__))
_FEW_NUMBERS = 64
# Pure but for the running statistics, which they change: where those are among the arguments.
_STATISTICS: dict[Callable[..., Any], tuple[int, int]] = {
    torch.nn.functional.batch_norm: (1, 3),
    torch.nn.functional.instance_norm: (1, 3),
    torch.batch_norm: (3, 5),
    torch.instance_norm: (3, 5),
}


class Calls:
    """`ops` is the growing tape."""

    def __init__(self, ops: list[Op], values: Values, functions: FunctionCalls) -> None:
        self._ops = ops
        self._values = values
        self._functions = functions

    def prepared(
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
            if not dropout_draws(args, kwargs):
                kind = Kind.PURE
        elif kind is Kind.ESCAPE:
            if arrays.FOREIGN and func in _TO_NUMPY and args:
                return crossing.conversion(len(self._ops), self._values.value_of(args[0]), frame)
            if not (args and isinstance(args[0], torch.Tensor) and args[0].is_floating_point()):
                return None
            args, kwargs = args[:1], {}
        if kind in CHANGES and not args and kwargs:
            # `init.kaiming_uniform_(tensor=w)`: what is changed comes first, however it is handed over.
            first, *others = kwargs
            args, kwargs = (kwargs[first],), {name: kwargs[name] for name in others}
        if func is torch.Tensor.__deepcopy__:
            func, args = torch.Tensor.clone, args[:1]  # without the memo
        elif func is torch.Tensor.set_:
            self._values.let_go(args[0])  # what it holds now comes from elsewhere
            return None
        op = Op(len(self._ops), func, kind, None, None, frame.f_code, frame.f_lasti)
        data = args[1:] if func is torch.Tensor.new_tensor else args
        if kind is Kind.CREATE and data and isinstance(data[0], arrays.FOREIGN):
            source = self._values.encode(data[0])
            if isinstance(source, Value):
                return crossing.conversion(len(self._ops), source, frame)
        if kind is Kind.CREATE and data and isinstance(data[0], (list, tuple)) and _has_array(data[0]):
            items = (self._values.encode(data[0]),)
            return Op(len(self._ops), stacked_as, Kind.PURE, items, None, frame.f_code, frame.f_lasti)
        if kind is Kind.CREATE and args and holds_data(args[0]):
            return op  # without args: its result is a leaf
        encode, known = self._values.encode, self._values.known
        encoded = []
        for argument in args:
            entry = known.get(id(argument))
            # The usual case of `_encode`, in place: a tensor made by a recorded op.
            if entry is not None and entry[0]() is argument and entry[1].producer is not None:
                value = entry[1]
                encoded.append(value)
                if not value.requires_grad and getattr(argument, "requires_grad", False):
                    value.asked_for(argument.is_leaf)  # type: ignore[union-attr]
            else:
                encoded.append(encode(argument))
        op.args = tuple(encoded)
        if kwargs:
            op.kwargs = {name: encode(a) for name, a in kwargs.items()}
        if self._functions.inside_forward and op.operation is vocabulary.DETACH and kind is Kind.PURE:
            op.func = view_as  # autograd does not look into a Function's forward: nothing is cut off there
        if kind is Kind.BACKWARD and kwargs.get("create_graph") and func is torch.autograd.grad:
            kind = op.kind = Kind.PURE  # a part of the forward pass
        if kind is not Kind.PURE:
            if kind in CHANGES:
                self._values.before_change(kind, args, kwargs)
            elif kind is Kind.DROPOUT:
                op.extra = torch.get_rng_state()
            elif kind is Kind.BACKWARD:
                self._values.before_backward()
        elif func in _STATISTICS:
            begin, end = _STATISTICS[func]
            op.buffers = tuple(values_in(op.args[begin:end]))
            self._values.before_change(kind, args[begin:end], kwargs)
        op.grad_enabled = torch.is_grad_enabled()
        return op


def dropout_draws(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    probability = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
    training = kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else True))
    return bool(training) and probability != 0


def _has_array(items: Sequence[Any]) -> bool:
    return bool(arrays.FOREIGN) and any(isinstance(item, np.ndarray) for item in items[:_FEW_NUMBERS])


def holds_data(thing: Any) -> bool:
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
