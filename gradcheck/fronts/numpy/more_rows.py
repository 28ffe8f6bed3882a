"""Rows of functions that few programs use."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch

from gradcheck.fronts.numpy import functions as own
from gradcheck.fronts.numpy.registry import Row, Same, row_for, rows, same_arguments


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
    (np.outer, torch.outer), (np.inner, torch.inner), (np.vdot, torch.vdot), (np.diagflat, torch.diagflat),
    (np.unravel_index, torch.unravel_index), (np.linalg.inv, torch.linalg.inv),
    (np.linalg.det, torch.linalg.det), (np.linalg.pinv, torch.linalg.pinv), (np.linalg.qr, torch.linalg.qr),
    (np.linalg.svd, torch.linalg.svd), (np.linalg.solve, torch.linalg.solve),
):  # fmt: skip
    same_arguments(_function, _same)
rows[np.sort] = lambda a, axis=-1: None if axis is None else (_sorted, (a, axis), {})


def _arranged(function: Any) -> Row:
    return lambda *args, **kwargs: (own.arranged(function), args, kwargs)


_ARRANGED = (
    "atleast_1d atleast_2d atleast_3d delete flip fliplr flipud hsplit repeat resize roll rollaxis rot90 take "
    "take_along_axis tile vsplit"
)
for _name in _ARRANGED.split():
    row_for(_name)(_arranged(getattr(np, _name)))


def _with_values(function: Any) -> Row:
    """A plain number that is put among the elements is an element too."""
    named = inspect.signature(function)

    def row(*args: Any, **kwargs: Any) -> Same:
        bound = named.bind(*args, **kwargs)
        if isinstance(bound.arguments["values"], (int, float)):
            bound.arguments["values"] = np.array(bound.arguments["values"], np.float64)
        return own.arranged(function), bound.args, bound.kwargs

    return row


rows[np.append], rows[np.insert] = _with_values(np.append), _with_values(np.insert)


def _joined(joiner: Any) -> Row:
    """`np.c_[a, b]`."""

    def row(*parts: Any) -> Same | None:
        every = all(isinstance(part, np.ndarray) for part in parts)
        return (own.arranged(joiner.__getitem__), (parts,), {}) if every else None

    return row


joined_by_index: dict[Any, Row] = {np.c_: _joined(np.c_), np.r_: _joined(np.r_)}
