"""Rows of NumPy functions that arrange, pick, join, make or change arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradcheck.fronts.numpy import functions as own
from gradcheck.fronts.numpy.registry import Row, Same, methods, row_for, rows, torch_type

# -- layout ---------------------------------------------------------------------------------------------------------------


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in np.ravel(shape))


def _reshaped(x: Any, *shape: Any, order: str = "C", **more: Any) -> Same | None:
    shape = shape[0] if len(shape) == 1 else shape
    if order != "C" or more:
        return own.arranged(np.reshape), (x, _shape(shape)), {"order": order, **more}
    return torch.reshape, (x, _shape(shape)), {}


methods["reshape"] = _reshaped


@row_for("reshape", method=False)
def _reshape(a: Any, shape: Any = None, order: str = "C", **more: Any) -> Same | None:
    return _reshaped(a, more.pop("newshape", shape), order=order, **more)


@row_for("ravel", "flatten")
def _flat(a: Any, order: str = "C") -> Same | None:
    return _reshaped(a, -1, order=order)


def transposed(x: Any, axes: Any = None) -> Same:
    if axes is None and np.ndim(x) <= 2:
        return torch.t, (x,), {}
    axes = range(np.ndim(x))[::-1] if axes is None else axes
    return torch.permute, (x, _shape(tuple(axes))), {}


methods["transpose"] = lambda x, *axes: transposed(x, (axes[0] if len(axes) == 1 else axes) or None)
rows[np.transpose] = lambda a, axes=None: transposed(a, axes)


@row_for("broadcast_arrays")
def _broadcast_together(*args: Any) -> Same | None:
    return (torch.broadcast_tensors, args, {}) if all(isinstance(a, np.ndarray) for a in args) else None


# -- joining and picking -----------------------------------------------------------------------------------------------------


@row_for("concatenate")
def _concatenate(arrays: Any, axis: Any = 0) -> Same | None:
    if axis is None:
        return own.arranged(np.concatenate), (tuple(arrays), None), {}
    return torch.cat, (tuple(arrays),), {"dim": axis} if axis else {}


@row_for("stack")
def _stack(arrays: Any, axis: int = 0) -> Same | None:
    return torch.stack, (tuple(arrays),), {"dim": axis} if axis else {}


for _name in ("hstack", "vstack", "dstack", "column_stack", "row_stack"):  # the last is gone in NumPy 3
    _same = getattr(torch, _name)
    rows[getattr(np, _name, _name)] = lambda tup, same=_same: (same, (tuple(tup),), {})


@row_for("split", "array_split")
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Same | None:
    parts = indices_or_sections
    parts = parts if isinstance(parts, int) else [int(n) for n in parts]
    return torch.tensor_split, (ary, parts, axis), {}


@row_for("pad")
def _pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Same | None:
    values = set(np.ravel(constant_values).tolist())
    if mode != "constant" or len(values) != 1:
        return (own.arranged(np.pad), (array, pad_width, mode), {}) if mode != "constant" else None
    widths = np.broadcast_to(pad_width, (np.ndim(array), 2)).tolist()
    return own.padded, (array, tuple((int(a), int(b)) for a, b in widths), values.pop()), {}


# -- made of numbers alone ---------------------------------------------------------------------------------------------------


def _made(function: Callable[..., Any], plain: Row | None = None) -> Row:
    """`plain` is the same for a shape, where this is for an array."""
    like = plain is not None

    def row(
        first: Any = None, *more: Any, dtype: Any = None, fill_value: Any = None, shape: Any = None, **_: Any
    ) -> Any:
        first = shape if first is None else first
        if shape is not None and plain is not None:
            return plain(shape, *more, dtype=dtype or first.dtype, fill_value=fill_value)
        if fill_value is not None:
            more = (fill_value, *more)
        count = 1 if function in (torch.full, torch.full_like) else 0
        if len(more) > count:
            dtype = more[count]
        if dtype is None and not (like or count):
            dtype = np.float64
        wanted = None if dtype is None else torch_type(dtype)
        first = first if like else _shape(first)
        return function, (first, *more[:count]), {} if wanted is None else {"dtype": wanted}

    return row


for _name in ("zeros", "ones", "full", "empty"):
    rows[getattr(np, _name)] = _plain = _made(getattr(torch, _name))
    rows[getattr(np, _name + "_like")] = _made(getattr(torch, _name + "_like"), _plain)


@row_for("eye", "identity")
def _eye(size: Any, *, dtype: Any = None) -> Same | None:
    return torch.eye, (int(size),), {"dtype": torch_type(dtype or np.float64)}


@row_for("arange", method=False)
def _arange(*bounds: Any) -> Same | None:
    return torch.arange, tuple(b.item() if isinstance(b, np.generic) else b for b in bounds), {}


def _array(x: Any, dtype: Any = None, *, ndmin: int = 0, **_: Any) -> Same | None:
    wanted = None if dtype is None else torch_type(dtype)
    for _missing in range(ndmin - np.ndim(x) if ndmin else 0):
        x = [x]
    if isinstance(x, (list, tuple)):
        return (own.stacked, (x,), {}) if wanted is None else (own.stacked_as, (x, wanted), {})
    same = wanted is None or np.asarray(x).dtype == np.dtype(dtype)
    return (torch.clone, (x,), {}) if same else (torch.Tensor.to, (x, wanted), {"copy": True})


rows.update(dict.fromkeys((np.array, np.asarray), _array))
_NAMES = ("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "empty", "eye", "identity")
WITHOUT_ARRAYS = frozenset(getattr(np, name) for name in _NAMES)

# -- changes in place ------------------------------------------------------------------------------------------------------

changes: dict[Any, Row] = {np.copyto: lambda dst, src: (torch.Tensor.copy_, (dst, src), {})}
changing_methods: dict[str, Row | None] = {
    "fill": lambda x, value: (torch.Tensor.fill_, (x, value), {}),
    "sort": None, "partition": None, "resize": None, "itemset": None,
}  # fmt: skip


changed_at: dict[np.ufunc, Row] = {
    np.add: lambda a, indices, b: (own.added_at, (a, indices, b), {}),
    np.subtract: lambda a, indices, b: (own.subtracted_at, (a, indices, b), {}),
}


def put_along(items: Any, others: tuple[int, ...], axis: int) -> Same:
    return own.rows_put_along, (items, others, axis), {}
