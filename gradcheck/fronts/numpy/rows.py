"""Which torch call computes what a NumPy call does: a row for each function, found by the object and not by its name.

A row is handed the arguments as they are and gives the torch function with its own; None if it cannot say the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from gradcheck.fronts.numpy import functions as own
from gradcheck.fronts.op import Kind
from gradcheck.fronts.torch.ufuncs import numpy_function

Same = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
Row = Callable[..., "Same | None"]
NO_VALUE = np._NoValue  # type: ignore[attr-defined]
_T = torch.Tensor

rows: dict[Any, Row] = {}
methods: dict[str, Row] = {}


class Known(NamedTuple):
    kind: Kind
    row: Row


def _row(*names: str, method: bool = True) -> Callable[[Row], Row]:
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


def _ufunc(function: np.ufunc) -> Row:
    def row(*inputs: Any, **kwargs: Any) -> Same | None:
        out = kwargs.pop("out", None)
        if isinstance(out, tuple):
            out = out[0]
        kwargs.pop("dtype", None), kwargs.pop("casting", None)
        if len(inputs) > function.nin:
            *inputs, out = inputs  # type: ignore[assignment]
        same = numpy_function(function, tuple(inputs))
        if same is None or kwargs or function.nout != 1:
            return None
        return same, tuple(inputs), {} if out is None else {"out": out}

    return row


for _name in dir(np):
    _function = getattr(np, _name)
    if isinstance(_function, np.ufunc):
        rows[_function] = _ufunc(_function)

for _name in dir(math):
    _same = getattr(torch, {"fabs": "abs"}.get(_name, _name), None)
    if callable(_same) and _name not in ("gcd", "lcm", "prod", "dist", "fmod"):
        rows[getattr(math, _name)] = lambda *a, same=_same: (same, a, {}) if len(a) == 1 else None


# -- reductions -------------------------------------------------------------------------------------------------------


def _reduced(
    whole: Callable[..., Any], along: Callable[..., Any] | None = None, *, tuples: bool = True
) -> Callable[..., Same | None]:
    def reduce(x: Any, axis: Any, keepdims: Any, **more: Any) -> Same | None:
        kept = {"keepdim": True} if keepdims and keepdims is not NO_VALUE else {}
        if axis is None and not kept:
            return whole, (x,), more
        if axis is None:
            axis = tuple(range(np.ndim(x)))
        if isinstance(axis, tuple) and len(axis) == 1:
            axis = axis[0]
        if isinstance(axis, tuple) and not tuples:
            return None
        axis = tuple(int(a) for a in axis) if isinstance(axis, tuple) else int(axis)
        return along or whole, (x,), {"dim": axis, **kept, **more}

    return reduce


_SUM, _MEAN, _PROD = _reduced(torch.sum), _reduced(torch.mean), _reduced(torch.prod, tuples=False)
_MAX, _MIN = _reduced(torch.max, torch.amax), _reduced(torch.min, torch.amin)
_ARGMAX, _ARGMIN = _reduced(torch.argmax, tuples=False), _reduced(torch.argmin, tuples=False)
_ANY, _ALL = _reduced(torch.any), _reduced(torch.all)
_VAR, _STD = _reduced(torch.var), _reduced(torch.std)


def _into(same: Same | None, out: Any) -> Same | None:
    return same if same is None or out is None else (same[0], same[1], {**same[2], "out": out})


def _add_reduction(reduce: Callable[..., Same | None], *names: str) -> None:
    @_row(*names)
    def row(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **more: Any
    ) -> Any:
        return None if more else _into(reduce(a, axis, keepdims), out)


def _add_extremum(reduce: Callable[..., Same | None], *names: str) -> None:
    @_row(*names)
    def row(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **more: Any) -> Any:
        return None if more else _into(reduce(a, axis, keepdims), out)


_add_reduction(_SUM, "sum")
_add_reduction(_MEAN, "mean")
_add_reduction(_PROD, "prod")
for _names, _how in (
    (("max", "amax"), _MAX), (("min", "amin"), _MIN), (("argmax",), _ARGMAX), (("argmin",), _ARGMIN),
    (("any",), _ANY), (("all",), _ALL),
):  # fmt: skip
    _add_extremum(_how, *_names)


def _add_spread(reduce: Callable[..., Same | None], name: str) -> None:
    @_row(name)
    def row(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False,
        **more: Any,
    ) -> Any:  # fmt: skip
        return None if more else _into(reduce(a, axis, keepdims, correction=ddof), out)


_add_spread(_VAR, "var")
_add_spread(_STD, "std")


@_row("cumsum")
def _cumsum(a: Any, axis: Any = None) -> Same | None:
    return None if axis is None and np.ndim(a) != 1 else (torch.cumsum, (a,), {"dim": axis or 0})


@_row("linalg.norm")
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Same | None:
    kept = {"keepdim": True} if keepdims else {}
    if axis is None and ord is None:
        return torch.linalg.norm, (x,), kept
    return None if axis is None and np.ndim(x) > 1 else (torch.linalg.norm, (x, ord, axis), kept)


# -- products -----------------------------------------------------------------------------------------------------------


@_row("dot")
def _dot(a: Any, b: Any, out: Any = None) -> Same | None:
    more = {} if out is None else {"out": out}
    if not np.ndim(a) or not np.ndim(b):
        return torch.mul, (a, b) if np.ndim(a) else (b, a), more
    return (torch.matmul if np.ndim(b) < 3 else own.dot_with_last_but_one), (a, b), more


@_row("matmul")
def _matmul(a: Any, b: Any, out: Any = None) -> Same | None:
    return torch.matmul, (a, b), {} if out is None else {"out": out}


@_row("outer")
def _outer(a: Any, b: Any) -> Same | None:
    return (torch.outer, (a, b), {}) if np.ndim(a) == np.ndim(b) == 1 else None


@_row("einsum")
def _einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Same | None:
    return (torch.einsum, (subscripts, *operands), {}) if isinstance(subscripts, str) else None


@_row("tensordot")
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Same | None:
    if not isinstance(axes, int):
        axes = tuple([int(i) for i in (side if isinstance(side, (tuple, list)) else [side])] for side in axes)
    return torch.tensordot, (a, b), {"dims": axes}


# -- elementwise ----------------------------------------------------------------------------------------------------------


@_row("clip")
def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **more: Any) -> Same | None:
    a_min, a_max = more.pop("min", a_min), more.pop("max", a_max)
    return None if more else _into((torch.clamp, (a, a_min, a_max), {}), out)


@_row("where")
def _where(condition: Any, *choices: Any) -> Same | None:
    return (torch.where, (condition, *choices), {}) if len(choices) == 2 else None


@_row("nan_to_num")
def _nan_to_num(x: Any) -> Same | None:
    return torch.nan_to_num, (x,), {}


@_row("copy", "ascontiguousarray")
def _copy(a: Any, *_: Any, **__: Any) -> Same | None:
    return torch.clone, (a,), {}


def _cast(x: Any, dtype: Any, **_: Any) -> Same | None:
    wanted = torch_type(dtype)
    return None if wanted is None else (_T.to, (x, wanted), {})


methods["astype"] = _cast


def torch_type(dtype: Any) -> torch.dtype | None:
    try:
        return torch.from_numpy(np.empty(0, dtype)).dtype
    except TypeError:
        return None


# -- layout ---------------------------------------------------------------------------------------------------------------


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in shape) if isinstance(shape, (tuple, list)) else (int(shape),)


def _reshaped(x: Any, *shape: Any, order: str = "C", **more: Any) -> Same | None:
    shape = shape[0] if len(shape) == 1 else shape
    return None if order != "C" or more else (torch.reshape, (x, _shape(shape)), {})


methods["reshape"] = _reshaped


@_row("reshape", method=False)
def _reshape(a: Any, shape: Any = None, order: str = "C", **more: Any) -> Same | None:
    return _reshaped(a, more.pop("newshape", shape), order=order, **more)


@_row("ravel", "flatten")
def _flat(a: Any, order: str = "C") -> Same | None:
    return None if order != "C" else (torch.reshape, (a, (-1,)), {})


def transposed(x: Any, axes: Any = None) -> Same:
    if axes is None and np.ndim(x) <= 2:
        return torch.t, (x,), {}
    axes = range(np.ndim(x))[::-1] if axes is None else axes
    return torch.permute, (x, _shape(tuple(axes))), {}


methods["transpose"] = lambda x, *axes: transposed(x, (axes[0] if len(axes) == 1 else axes) or None)
rows[np.transpose] = lambda a, axes=None: transposed(a, axes)


@_row("swapaxes")
def _swapaxes(a: Any, one: int, other: int) -> Same | None:
    return torch.transpose, (a, one, other), {}


@_row("moveaxis")
def _moveaxis(a: Any, source: Any, destination: Any) -> Same | None:
    return torch.movedim, (a, source, destination), {}


@_row("expand_dims")
def _expand_dims(a: Any, axis: Any) -> Same | None:
    return (torch.unsqueeze, (a, axis), {}) if isinstance(axis, int) else None


@_row("squeeze")
def _squeeze(a: Any, axis: Any = None) -> Same | None:
    return torch.squeeze, (a,) if axis is None else (a, axis), {}


@_row("broadcast_to")
def _broadcast(a: Any, shape: Any) -> Same | None:
    return torch.broadcast_to, (a, _shape(shape)), {}


@_row("tile")
def _tile(a: Any, reps: Any) -> Same | None:
    return torch.tile, (a, _shape(reps)), {}


@_row("repeat")
def _repeat(a: Any, repeats: Any, axis: Any = None) -> Same | None:
    return torch.repeat_interleave, (a, repeats), {} if axis is None else {"dim": axis}


@_row("flip")
def _flip(m: Any, axis: Any = None) -> Same | None:
    axes = tuple(range(np.ndim(m))) if axis is None else _shape(axis)
    return torch.flip, (m, axes), {}


@_row("roll")
def _roll(a: Any, shift: Any, axis: Any = None) -> Same | None:
    return torch.roll, (a, shift, axis), {}


@_row("diagonal", "diag", "trace", "tril", "triu")
def _unknown(*_: Any, **__: Any) -> Same | None:
    return None


rows[np.diag] = lambda v, k=0: (torch.diag, (v, k), {})
rows[np.tril] = lambda m, k=0: (torch.tril, (m, k), {})
rows[np.triu] = lambda m, k=0: (torch.triu, (m, k), {})


# -- joining and picking -----------------------------------------------------------------------------------------------------


@_row("concatenate")
def _concatenate(arrays: Any, axis: Any = 0) -> Same | None:
    return None if axis is None else (torch.cat, (tuple(arrays),), {"dim": axis} if axis else {})


@_row("stack")
def _stack(arrays: Any, axis: int = 0) -> Same | None:
    return torch.stack, (tuple(arrays),), {"dim": axis} if axis else {}


for _name in ("hstack", "vstack", "dstack", "column_stack"):
    rows[getattr(np, _name)] = lambda tup, same=getattr(torch, _name): (same, (tuple(tup),), {})


@_row("append")
def _append(arr: Any, values: Any, axis: Any = None) -> Same | None:
    if axis is None and not np.ndim(arr) == np.ndim(values) == 1:
        return None
    return torch.cat, ((arr, values),), {"dim": axis or 0}


@_row("split", "array_split")
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Same | None:
    parts = indices_or_sections
    parts = parts if isinstance(parts, int) else [int(n) for n in parts]
    return torch.tensor_split, (ary, parts, axis), {}


@_row("take")
def _take(a: Any, indices: Any, axis: Any = None) -> Same | None:
    if axis is None and np.ndim(a) != 1:
        return None
    return _T.__getitem__, (a, (slice(None),) * int(axis or 0) + (indices,)), {}


@_row("pad")
def _pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Same | None:
    if mode != "constant" or np.ndim(constant_values):
        return None
    widths = np.broadcast_to(pad_width, (np.ndim(array), 2)).tolist()
    return own.padded, (array, tuple((int(a), int(b)) for a, b in widths), constant_values), {}


# -- made of numbers alone ---------------------------------------------------------------------------------------------------


def _made(function: Callable[..., Any], like: bool) -> Row:
    def row(
        first: Any, *more: Any, dtype: Any = None, order: Any = "C", fill_value: Any = None, shape: Any = None
    ) -> Any:
        if shape is not None and like:
            return None
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


for _name in ("zeros", "ones", "full"):
    rows[getattr(np, _name)] = _made(getattr(torch, _name), False)
    rows[getattr(np, _name + "_like")] = _made(getattr(torch, _name + "_like"), True)


@_row("eye", "identity")
def _eye(N: Any, *, dtype: Any = None) -> Same | None:
    return torch.eye, (int(N),), {"dtype": torch_type(dtype or np.float64)}


@_row("arange", method=False)
def _arange(*bounds: Any) -> Same | None:
    return torch.arange, tuple(b.item() if isinstance(b, np.generic) else b for b in bounds), {}


def _array(x: Any, dtype: Any = None, **_: Any) -> Same | None:
    if isinstance(x, (list, tuple)):
        return own.stacked, (x,), {}
    return torch.clone, (x,), {}


rows.update(dict.fromkeys((np.array, np.asarray), _array))
WITHOUT_ARRAYS = frozenset(
    getattr(np, n) for n in ("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "eye", "identity")
)

# -- changes in place ------------------------------------------------------------------------------------------------------

changes: dict[Any, Row] = {
    np.copyto: lambda dst, src: (_T.copy_, (dst, src), {}),
}
changing_methods: dict[str, Row | None] = {
    "fill": lambda x, value: (_T.fill_, (x, value), {}),
    "sort": None, "partition": None, "put": None, "resize": None, "itemset": None,
}  # fmt: skip
added_at: Row = lambda a, indices, b=1: (own.added_at, (a, indices, b), {})
