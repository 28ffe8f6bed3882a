"""What may be called while an edit is evaluated: operations of torch, NumPy and Python that compute and do nothing
else, and make no tensor that fills the memory."""

import builtins
import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from types import ModuleType
from typing import Any

import numpy as np
import torch

from gradcheck.graph.library import is_of_library

# Elements of a result: 128 MiB in float64, far more than the gradients of what people debug by hand.
_MOST_ELEMENTS = 2**24
_GROWTH = 4  # a program with larger tensors than that may make somewhat larger ones
_MOST_PRODUCTS = 2**33  # multiplications in a matrix product: some seconds on one core

_PURE_MODULES = {"torch", "numpy", "math", "cmath", "operator", "itertools", "functools", "collections", "copy", "scipy",
                 "einops", "gradcheck"}  # fmt: skip
_PURE_BUILTINS = {abs, all, any, divmod, isinstance, len, max, min, pow, round, sorted, sum}
_TYPES = {bool, complex, dict, enumerate, float, frozenset, int, list, map, range, reversed, set, slice, str, tuple,
          zip}  # fmt: skip
# Functions of those modules that read or write files, set something for the whole process, or run other code.
_MORE = re.compile(
    r"_?(save|load|set_|seed|manual_seed|fork|print|to_?file|from_?file|dump|memmap|open|backward|register|share_memory"
    r"|compile|script|apply_?$|map_?$|requires_grad|retain_grad|use_deterministic|init_process|genfromtxt|exec|eval)"
)


class NotAllowedError(Exception):
    """The result would be far too large."""


def is_pure(function: object) -> bool:
    """Whether a function of a library computes, and does nothing else."""
    owner = getattr(function, "__self__", None)
    if not is_of_library(owner):
        return False  # `apply` of an autograd function of the person's
    if isinstance(function, type):
        return function in _TYPES or function.__module__.partition(".")[0] in _PURE_MODULES
    name = getattr(function, "__name__", type(function).__name__)
    if owner is builtins:
        return function in _PURE_BUILTINS
    if isinstance(function, np.ufunc) and getattr(np, name, None) is not function:
        return type(function).__module__ == "scipy.special"  # `np.frompyfunc` makes them of any function
    if owner is not None and not isinstance(owner, ModuleType):
        module = (owner if isinstance(owner, type) else type(owner)).__module__
        if module == "builtins":
            return True  # a method of a list or a string
    else:
        module = getattr(function, "__module__", None) or type(function).__module__
    return module.partition(".")[0] in _PURE_MODULES and _MORE.match(name) is None


def refuse_huge(function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Raises NotAllowedError before a call whose result would be far larger than anything in the program."""
    shapes = [tuple(argument.shape) for argument in arguments if isinstance(argument, torch.Tensor)]
    if len(shapes) < 2:
        return
    name = getattr(function, "__name__", "")
    largest = max(_MOST_ELEMENTS, *(_GROWTH * _count(shape) for shape in shapes))
    if "matmul" in name or name in ("mm", "bmm"):
        left, right = shapes[0], shapes[1]
        made = _count(left[:-1]) * (right[-1] if len(right) > 1 else 1)
        if made > largest or made * (left[-1] if left else 1) > _MOST_PRODUCTS:
            raise NotAllowedError("the product would be far larger than what it is made of")
        return
    stretched = [max(sizes) for sizes in zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1)]
    if _count(stretched) > largest and _stretches(shapes, stretched[::-1]):
        raise NotAllowedError("the result would be far larger than what it is made of")


def _stretches(shapes: Sequence[Sequence[int]], to: Sequence[int]) -> bool:
    """Whether the call makes something of that shape at all; if not, it raises an error itself."""
    return all(
        size in (1, wanted) for shape in shapes for size, wanted in zip(shape[::-1], to[::-1], strict=False)
    )


def _count(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
