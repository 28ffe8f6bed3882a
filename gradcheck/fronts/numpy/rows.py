"""Which torch call computes what a NumPy call does: a row for each function, found by the object and not by its name.

A row is handed the arguments as they are and gives the torch function with its own; None if it cannot say the same.
"""

import copy
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradcheck.fronts.numpy import functions as own
from gradcheck.fronts.numpy.registry import NO_VALUE, Row, Same, methods, row_for, torch_type
from gradcheck.fronts.numpy.registry import rows as rows
from gradcheck.fronts.torch.ufuncs import numpy_function


def _ufunc(function: np.ufunc) -> Row:
    def row(*inputs: Any, **kwargs: Any) -> Same | None:
        out = kwargs.pop("out", None)
        if isinstance(out, tuple):
            out = out[0]
        kwargs.pop("dtype", None), kwargs.pop("casting", None)
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


def _into(same: Same | None, out: Any) -> Same | None:
    return same if same is None or out is None else (same[0], same[1], {**same[2], "out": out})


def _add_reduction(reduce: Callable[..., Same | None], *names: str, spread: bool = False) -> None:
    named = inspect.signature(getattr(np, names[0]))

    @row_for(*names)
    def row(*args: Any, **kwargs: Any) -> Same | None:
        given = named.bind(*args, **kwargs).arguments
        x, axis, keepdims = given.pop("a"), given.pop("axis", None), given.pop("keepdims", False)
        more = {"correction": given.pop("ddof", 0)} if spread else {}
        out, _ = given.pop("out", None), given.pop("dtype", None)
        return None if given else _into(reduce(x, axis, keepdims, **more), out)


for _names, _how in (
    ("sum", (torch.sum,)), ("mean", (torch.mean,)), ("nansum", (torch.nansum,)), ("nanmean", (torch.nanmean,)),
    ("max amax", (torch.max, torch.amax)),
    ("min amin", (torch.min, torch.amin)), ("any", (torch.any,)), ("all", (torch.all,)),
    ("var", (torch.var,)), ("std", (torch.std,)),
):  # fmt: skip
    _add_reduction(_reduced(*_how), *_names.split(), spread=_names in ("var", "std"))
for _name in ("prod", "argmax", "argmin"):
    _add_reduction(_reduced(getattr(torch, _name), tuples=False), _name)


@row_for("cumsum")
def _cumsum(a: Any, axis: Any = None) -> Same | None:
    return None if axis is None and np.ndim(a) != 1 else (torch.cumsum, (a,), {"dim": axis or 0})


@row_for("linalg.norm")
def _norm(x: Any, *given: Any, axis: Any = None, keepdims: bool = False, **named: Any) -> Same | None:
    ord_, *axes = *given, *named.values(), None
    axis = axes[0] if len(given) > 1 else axis
    kept = {"keepdim": True} if keepdims else {}
    return torch.linalg.norm, (x,) if axis is None and ord_ is None else (x, ord_, axis), kept


# -- products -----------------------------------------------------------------------------------------------------------


@row_for("dot")
def _dot(a: Any, b: Any, out: Any = None) -> Same | None:
    if not np.ndim(a) or not np.ndim(b):
        return _into((torch.mul, (a, b) if np.ndim(a) else (b, a), {}), out)
    return _into((torch.matmul if np.ndim(b) < 3 else own.dot_with_last_but_one, (a, b), {}), out)


@row_for("matmul")
def _matmul(a: Any, b: Any, out: Any = None) -> Same | None:
    return torch.matmul, (a, b), {} if out is None else {"out": out}


@row_for("einsum")
def _einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Same | None:
    return (torch.einsum, (subscripts, *operands), {}) if isinstance(subscripts, str) else None


@row_for("tensordot")
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Same | None:
    if not isinstance(axes, int):
        axes = tuple([int(i) for i in (side if isinstance(side, (tuple, list)) else [side])] for side in axes)
    return torch.tensordot, (a, b), {"dims": axes}


# -- elementwise ----------------------------------------------------------------------------------------------------------


@row_for("clip")
def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **more: Any) -> Same | None:
    a_min, a_max = more.pop("min", a_min), more.pop("max", a_max)
    return None if more else _into((torch.clamp, (a, a_min, a_max), {}), out)


@row_for("where")
def _where(condition: Any, *choices: Any) -> Same | None:
    condition = np.asarray(condition)  # as is one of numbers, `z > 0`
    return (torch.where, (condition, *choices), {}) if len(choices) == 2 else None


rows[np.nan_to_num] = lambda x: (torch.nan_to_num, (x,), {})


@row_for("copy", "ascontiguousarray")
def _copy(a: Any, *_: Any, **__: Any) -> Same | None:
    return torch.clone, (a,), {}


rows.update(dict.fromkeys((copy.copy, copy.deepcopy), _copy))


def _cast(x: Any, dtype: Any, **_: Any) -> Same | None:
    wanted = torch_type(dtype)
    return None if wanted is None else (torch.Tensor.to, (x, wanted), {})


def _type_called(kind: Any) -> Row:
    return lambda x=0, *_: _cast(x, kind)


methods["astype"] = _cast
rows.update({kind: _type_called(kind) for kind in (np.int64, np.int32, np.float64, np.float32, np.bool_)})
