"""Rows of functions that few programs use."""

from typing import Any

import numpy as np
import torch

from gradcheck.fronts.numpy import functions as own
from gradcheck.fronts.numpy.registry import Row, Same, row_for, rows, same_arguments, signature_of
from gradcheck.fronts.numpy.shape_rows import changes, changing_methods


@row_for("average")
def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: Any = False) -> Same | None:
    return rows[np.mean](a, axis, keepdims=keepdims) if weights is None else None


def _sorted(array: torch.Tensor, axis: int) -> torch.Tensor:
    return array.sort(dim=axis).values


_sorted.__name__ = "msort"


for _function, _same in (
    (np.trace, torch.trace), (np.diagonal, torch.diagonal), (np.diff, torch.diff), (np.diag, torch.diag), (np.tril, torch.tril),
    (np.triu, torch.triu), (np.swapaxes, torch.transpose), (np.moveaxis, torch.movedim),
    (np.squeeze, torch.squeeze), (np.expand_dims, torch.unsqueeze), (np.broadcast_to, torch.broadcast_to),
    (np.inner, torch.inner), (np.vdot, torch.vdot), (np.diagflat, torch.diagflat),
    (np.unravel_index, torch.unravel_index), (np.linalg.inv, torch.linalg.inv),
    (np.linalg.det, torch.linalg.det), (np.linalg.pinv, torch.linalg.pinv), (np.linalg.qr, torch.linalg.qr),
    (np.linalg.svd, torch.linalg.svd), (np.linalg.solve, torch.linalg.solve),
):  # fmt: skip
    same_arguments(_function, _same)
rows[np.outer] = lambda a, b: (torch.outer if np.ndim(a) == np.ndim(b) == 1 else own.outer, (a, b), {})
rows[np.sort] = lambda a, axis=-1: None if axis is None else (_sorted, (a, axis), {})


def _arranged(function: Any) -> Row:
    return lambda *args, **kwargs: (own.arranged(function), args, kwargs)


_ARRANGED = (
    "atleast_1d atleast_2d atleast_3d delete flip fliplr flipud hsplit repeat resize roll rollaxis rot90 take "
    "take_along_axis tile vsplit"
)
for _name in _ARRANGED.split():
    row_for(_name)(_arranged(getattr(np, _name)))


def _with_values(function: Any, same: Any = own.arranged, values: str = "values") -> Row:
    """A plain number that is put among the elements is an element too."""
    named = signature_of(function)

    def row(*args: Any, **kwargs: Any) -> Same:
        bound = named.bind(*args, **kwargs)
        put = bound.arguments[values]
        if not isinstance(put, np.ndarray) or put.dtype.kind != "f":
            bound.arguments[values] = np.array(put, np.float64)
        return same(function), bound.args, bound.kwargs

    return row


_one_axis = rows[np.expand_dims]
rows[np.expand_dims] = lambda a, axis: (_one_axis if isinstance(axis, int) else _arranged(np.expand_dims))(
    a, axis
)
rows[np.append], rows[np.insert] = _with_values(np.append), _with_values(np.insert)
for _name, _values in (
    ("put_along_axis", "values"), ("put", "v"), ("place", "vals"), ("putmask", "values"), ("fill_diagonal", "val"),
):  # fmt: skip
    changes[getattr(np, _name)] = _with_values(getattr(np, _name), own.arranged_into, _values)
changing_methods["put"] = changes[np.put]


@row_for("bincount", method=False)
def _bincount(x: Any, weights: Any = None, minlength: int = 0) -> Same | None:
    return None if weights is None else (own.counted_by_weight, (x, np.asarray(weights), minlength), {})


def _joined(joiner: Any) -> Row:
    """`np.c_[a, b]`."""

    def row(*parts: Any) -> Same | None:
        arrays = [np.array([part]) if isinstance(part, (int, float)) else part for part in parts]
        if not all(isinstance(each, np.ndarray) for each in arrays):
            return None
        same = own.arranged if any(each.dtype.kind == "f" for each in arrays) else own.by_numpy
        return same(joiner.__getitem__), (tuple(arrays),), {}

    return row


joined_by_index: dict[Any, Row] = {np.c_: _joined(np.c_), np.r_: _joined(np.r_)}
