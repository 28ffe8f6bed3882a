"""A few ops as a recording holds them, with the tensors they computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gradcheck.fronts.tape import Kind, Op, Value


class Recorded:
    """Runs functions and writes down what they did."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.tensors: dict[Value, torch.Tensor] = {}

    def given(self, tensor: torch.Tensor) -> Value:
        value = Value(None, len(self.ops), tuple(tensor.shape))
        self.tensors[value] = tensor
        return value

    def call(self, func: Callable[..., Any], *args: Any, kind: Kind = Kind.PURE, **kwargs: Any) -> Value:
        op = Op(len(self.ops), func, kind, args, kwargs, (lambda: None).__code__, 0)
        result = func(*(self._tensor(a) for a in args), **{key: self._tensor(a) for key, a in kwargs.items()})
        if kind is Kind.MUTATE:
            op.out = args[0]
        else:
            op.out = self.given(result)
            op.out.producer = op
        self.ops.append(op)
        return op.out

    def _tensor(self, thing: Any) -> Any:
        if isinstance(thing, tuple):
            return tuple(self._tensor(part) for part in thing)
        return self.tensors[thing] if isinstance(thing, Value) else thing
