"""Rows of functions that few programs use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradcheck.fronts.numpy.registry import Row, Same, row_for, rows


@row_for("average")
def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: Any = False) -> Same | None:
    return rows[np.mean](a, axis, keepdims=keepdims) if weights is None else None


@row_for("inner", "vdot")
def _inner(a: Any, b: Any) -> Same | None:
    return (torch.matmul, (a, b), {}) if np.ndim(a) == np.ndim(b) == 1 else None


@row_for("trace")
def _trace(a: Any) -> Same | None:
    return (torch.trace, (a,), {}) if np.ndim(a) == 2 else None


@row_for("diagonal")
def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Same | None:
    return torch.diagonal, (a, offset, axis1, axis2), {}


rows[np.fliplr] = lambda m: (torch.fliplr, (m,), {})
rows[np.flipud] = lambda m: (torch.flipud, (m,), {})
rows[np.rot90] = lambda m, k=1, axes=(0, 1): (torch.rot90, (m, k, list(axes)), {})
rows[np.atleast_1d] = lambda *a: (torch.atleast_1d, a, {}) if len(a) == 1 else None
rows[np.atleast_2d] = lambda *a: (torch.atleast_2d, a, {}) if len(a) == 1 else None
rows[np.diff] = lambda a, n=1, axis=-1: (torch.diff, (a, n, axis), {})
rows[np.sort] = lambda a, axis=-1: None if axis is None else (_sorted, (a, axis), {})
rows[np.take_along_axis] = lambda arr, indices, axis: (_gathered, (arr, indices, axis), {})
rows[np.linalg.inv] = lambda a: (torch.linalg.inv, (a,), {})
rows[np.linalg.det] = lambda a: (torch.linalg.det, (a,), {})
rows[np.linalg.pinv] = lambda a: (torch.linalg.pinv, (a,), {})
rows[np.linalg.qr] = lambda a: (torch.linalg.qr, (a,), {})
rows[np.linalg.svd] = lambda a, full_matrices=True: (torch.linalg.svd, (a, full_matrices), {})
rows[np.linalg.solve] = lambda a, b: (torch.linalg.solve, (a, b), {})


def _sorted(array: torch.Tensor, axis: int) -> torch.Tensor:
    return array.sort(dim=axis).values


_sorted.__name__ = "msort"


def _gathered(array: torch.Tensor, places: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.take_along_dim(array, places.to(torch.int64), axis)


_gathered.__name__ = "gather"


@row_for("rollaxis")
def _rollaxis(a: Any, axis: int, start: int = 0) -> Same | None:
    axis, start = axis % np.ndim(a), start % (np.ndim(a) + 1)
    return torch.movedim, (a, axis, start - (start > axis)), {}


def _split_along(axis: int) -> Callable[[Any, Any], Same | None]:
    return lambda ary, parts: rows[np.split](ary, parts, axis if np.ndim(ary) > 1 else 0)


rows[np.hsplit], rows[np.vsplit] = _split_along(1), _split_along(0)


@row_for("delete")
def _delete(arr: Any, obj: Any, axis: Any = None) -> Same | None:
    if axis is None and np.ndim(arr) != 1:
        return None
    axis = int(axis or 0) % np.ndim(arr)
    kept = np.delete(np.arange(arr.shape[axis]), obj)
    return torch.Tensor.__getitem__, (arr, (slice(None),) * axis + (kept,)), {}


@row_for("unravel_index")
def _unravelled(indices: Any, shape: Any) -> Same | None:
    return torch.unravel_index, (indices, tuple(shape)), {}


@row_for("diagflat")
def _diagflat(v: Any, k: int = 0) -> Same | None:
    return torch.diagflat, (v, k), {}


@row_for("insert")
def _insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Same | None:
    """Rows or columns, or a number, at one place."""
    if not isinstance(obj, (int, np.integer)) or (axis is None and np.ndim(arr) != 1):
        return None
    axis = int(axis or 0) % np.ndim(arr)
    return inserted, (arr, int(obj) + (obj < 0) * arr.shape[axis], values, axis), {}


def inserted(array: torch.Tensor, place: int, values: Any, axis: int) -> torch.Tensor:
    before, after = array.narrow(axis, 0, place), array.narrow(axis, place, array.shape[axis] - place)
    added = torch.as_tensor(values, dtype=array.dtype)
    # NumPy's own way: the first axis of what is inserted becomes the one along which it is.
    added = added.reshape((1,) * (array.dim() - added.dim()) + tuple(added.shape)).movedim(0, axis)
    shape = list(array.shape)
    shape[axis] = added.shape[axis]
    return torch.cat([before, added.expand(shape), after], dim=axis)


inserted.__name__ = "cat"


def _columns(*parts: Any) -> Same | None:
    """`np.c_[a, b]`: one-dimensional arrays are columns."""
    return (_side_by_side, (parts,), {}) if all(isinstance(p, np.ndarray) and p.ndim for p in parts) else None


def _side_by_side(parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
    columns = [part.unsqueeze(1) if part.dim() == 1 else part for part in parts]
    dtype = next((c.dtype for c in columns if c.is_floating_point()), columns[0].dtype)
    return torch.cat([column.to(dtype) for column in columns], dim=-1)


_side_by_side.__name__ = "cat"
joined_by_index: dict[Any, Row] = {
    np.c_: _columns,
    np.r_: lambda *parts: (
        (torch.cat, (parts,), {}) if all(isinstance(p, np.ndarray) and p.ndim for p in parts) else None
    ),
}
