"""Which kind a torch function is: decided from what the vocabulary says of its name, once per function."""

from collections.abc import Callable
from typing import Any

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Kind, function_name
from gradcheck.ops import Family

_KINDS = {
    Family.BACKWARD: Kind.BACKWARD,
    Family.DROPOUT: Kind.DROPOUT,
    Family.DRAW: Kind.RANDOM,
    Family.ESCAPE: Kind.ESCAPE,
    Family.QUERY: Kind.IGNORE,
}

known_kinds: dict[Any, Kind] = {}
_may_share: dict[Any, bool] = {}


def kind_of(func: Callable[..., Any]) -> Kind:
    """The kind of `func`, from its name alone (`inplace=` and `out=` arguments are for the caller to see)."""
    kind = known_kinds.get(func)
    if kind is None:
        kind = known_kinds[func] = _classify(func)
    return kind


def is_categorical(func: Callable[..., Any]) -> bool:
    """Whether a function draws from a distribution over categories."""
    return ops.operation_called(function_name(func)) is ops.CATEGORICAL


def may_share_storage(func: Callable[..., Any]) -> bool:
    """Whether the result may share storage with the first argument, although torch does not call it a view."""
    known = _may_share.get(func)
    if known is None:
        operation = ops.operation_called(function_name(func))
        known = _may_share[func] = operation.keeps_numbers or operation is ops.TENSOR
    return known


def _classify(func: Callable[..., Any]) -> Kind:
    raw = getattr(func, "__name__", "")
    name = function_name(func)
    spelling = ops.spelling(name)
    operation = spelling.operation
    if raw == "__get__":
        if name == "grad":
            return Kind.GRAD_READ
        same_numbers = operation.keeps_numbers and operation is not ops.REQUIRES_GRAD
        return Kind.PURE if same_numbers else Kind.IGNORE
    if raw == "__set__":
        return {"grad": Kind.GRAD_WRITE, "data": Kind.DATA_WRITE}.get(name, Kind.IGNORE)
    if func is torch.autograd.grad:
        return Kind.BACKWARD
    if operation is ops.TENSOR:
        return Kind.CREATE
    if operation.family is Family.DRAW and spelling.in_place:
        return Kind.RANDOM_MUTATE
    kind = _KINDS.get(operation.family)
    if kind is not None:
        return kind
    if name.startswith(("is_", "_is_")) or not name:
        return Kind.IGNORE
    if (spelling.in_place and operation is not ops.REQUIRES_GRAD) or name == "__setitem__":
        return Kind.MUTATE
    return Kind.PURE
