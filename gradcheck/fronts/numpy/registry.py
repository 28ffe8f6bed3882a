"""The rows by which a NumPy call is known, and how one is added."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Same = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
Row = Callable[..., "Same | None"]
NO_VALUE = np._NoValue

rows: dict[Any, Row] = {}
methods: dict[str, Row] = {}
later: dict[str, dict[str, Row]] = {}  # of modules that the program may import: by their names


def row_for(*names: str, method: bool = True) -> Callable[[Row], Row]:
    """For `np.name`, and for the method of an array."""

    def add(row: Row) -> Row:
        for name in names:
            function: Any = np
            for part in name.split("."):
                function = getattr(function, part, None)
            if function is not None:
                rows[function] = row
            if method and "." not in name and hasattr(np.ndarray, name):
                methods[name] = row
        return row

    return add


def signature_of(function: Any) -> inspect.Signature:
    """NumPy 1 tells that of a compiled function in the first line of its description alone: `inner(a, b, /)`."""
    try:
        return inspect.signature(function)
    except ValueError:
        told = function.__doc__.strip().splitlines()[0].partition("(")[2].rpartition(")")[0]
        return inspect.signature(eval(f"lambda {told}: None"))


def same_arguments(function: Any, same: Callable[..., Any]) -> None:
    """torch has it under another name or none, with the same arguments in the same order. Where it can do less, a replay
    says so."""
    named = signature_of(function)

    def row(*args: Any, **kwargs: Any) -> Same | None:
        bound = named.bind(*args, **kwargs)
        count = 1 + [*named.parameters].index([*bound.arguments][-1])
        bound.apply_defaults()
        return same, bound.args[:count], {}

    rows[function] = row
    name = function.__name__
    if hasattr(np.ndarray, name):
        methods.setdefault(name, row)


def row_of(function: Any) -> Row | None:
    row = rows.get(function)
    if row is None:
        name = getattr(function, "__name__", "")
        for module, named in later.items():
            if name in named and getattr(sys.modules.get(module), name, None) is function:
                row = rows[function] = named[name]
    return row


def torch_type(dtype: Any) -> torch.dtype | None:
    try:
        return torch.from_numpy(np.empty(0, dtype)).dtype
    except TypeError:
        return None


def unknown(*_: Any, **__: Any) -> Same | None:
    """Of a function that cannot be said in torch."""
    return None
