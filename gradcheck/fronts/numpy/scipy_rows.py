"""Rows of SciPy's functions, by their names: SciPy is imported by the program, if at all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradcheck.fronts.numpy import functions as own
from gradcheck.fronts.numpy.registry import Row, Same, later


def _along(function: Callable[..., Any]) -> Row:
    def row(x: Any, axis: Any = None) -> Same | None:
        return (function, (x, int(axis)), {}) if isinstance(axis, int) else None

    return row


def _logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> Same | None:
    if b is not None:
        return None
    axes = tuple(range(np.ndim(a))) if axis is None else axis
    return torch.logsumexp, (a, axes), {"keepdim": True} if keepdims else {}


def _in_two_dimensions(function: Callable[..., Any]) -> Row:
    def row(
        in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0
    ) -> Same | None:
        image, kernel = np.shape(in1), np.shape(in2)
        if boundary != "fill" or fillvalue != 0 or len(image) != 2 or len(kernel) != 2:
            return None
        if mode == "valid":
            fits = image[0] >= kernel[0] and image[1] >= kernel[1]  # else they change places
            return (function, (in1, in2, (0, 0)), {}) if fits else None
        if mode == "full":
            return function, (in1, in2, (kernel[0] - 1, kernel[1] - 1)), {}
        if mode == "same" and kernel[0] % 2 == kernel[1] % 2 == 1:
            return function, (in1, in2, (kernel[0] // 2, kernel[1] // 2)), {}
        return None

    return row


def _of_one(function: Callable[..., Any]) -> Row:
    return lambda x: (function, (x,), {})


later["scipy.special"] = {
    "expit": _of_one(torch.sigmoid),
    "erf": _of_one(torch.erf),
    "erfc": _of_one(torch.erfc),
    "log_expit": _of_one(torch.nn.functional.logsigmoid),
    "softmax": _along(torch.softmax),
    "log_softmax": _along(torch.log_softmax),
    "logsumexp": _logsumexp,
    "xlogy": lambda x, y: (torch.xlogy, (x, y), {}),
}
later["scipy.signal"] = {
    "correlate2d": _in_two_dimensions(own.correlated),
    "convolve2d": _in_two_dimensions(own.convolved),
}
