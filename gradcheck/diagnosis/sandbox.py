"""What code may do while an edit is evaluated: compute.

Edits call functions, some of them the person's own. Nothing the person would notice may happen by that a second time:
no output, no files, no counters, and no tensor that fills the memory. Every function of the person's is looked at
before it runs, and left if it changes anything but its own local names.
"""

from __future__ import annotations

import builtins
import dis
import os
import random
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch

# Elements of a result: 128 MiB in float64, far more than the gradients of what people debug by hand.
_MOST_ELEMENTS = 2**24
_GROWTH = 4  # a program with larger tensors than that may make somewhat larger ones
_MOST_PRODUCTS = 2**33  # multiplications in a matrix product: some seconds on one core

# Whoever calls it: a library that writes a file, too.
_OUTWARD = {print, input, open, breakpoint, os.system, os.write, os.remove, os.unlink, os.rename, os.mkdir, os.rmdir,
            os.open, os._exit, sys.exit}  # fmt: skip
_CODE = {
    exec,
    eval,
    compile,
    __import__,
}  # what these do cannot be looked at beforehand; libraries may use them
_GROWING = {"append", "extend", "insert", "add", "update", "pop", "setdefault", "clear", "remove", "discard",
            "popitem", "appendleft", "sort", "reverse", "write", "backward", "step", "zero_grad"}  # fmt: skip
_CHANGING = {"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR", "DELETE_SUBSCR"}
_LIBRARIES = tuple(
    os.path.realpath(folder) + os.sep
    for folder in {
        *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        str(Path(torch.__file__).parent),
        str(Path(__file__).parent.parent),
    }
)
EDITED = "<edited>"  # the file name that edits are compiled under


class NotAllowedError(Exception):
    """The code would do more than compute."""


@contextmanager
def computing_only() -> Iterator[None]:
    """Raises NotAllowedError in whatever would do more."""
    before = sys.getprofile()
    sys.setprofile(_look)
    try:
        yield
    finally:
        sys.setprofile(before)


@contextmanager
def state_kept() -> Iterator[None]:
    """Leaves the random numbers and torch's settings as they were: edits may draw, or call what sets them."""
    dtype, grad, numpy_state, python_state = (
        torch.get_default_dtype(), torch.is_grad_enabled(), np.random.get_state(), random.getstate(),
    )  # fmt: skip
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def _look(frame: FrameType, event: str, argument: Any) -> None:
    if event == "call":
        if not _is_pure(frame.f_code):
            raise NotAllowedError(f"`{frame.f_code.co_name}` changes more than its own names")
    elif (
        event == "c_call"
        and argument.__class__ is _BUILTIN
        and (argument in _OUTWARD or (argument in _CODE and not _is_trusted(frame.f_code.co_filename)))
    ):
        raise NotAllowedError(f"`{argument.__name__}` is not run again")


_BUILTIN = type(builtins.print)


@lru_cache(maxsize=4096)
def _is_pure(code: CodeType) -> bool:
    """Whether a function leaves everything but its own names alone. Libraries are trusted to."""
    if code.co_filename == EDITED or _is_trusted(code.co_filename):
        return True
    own = set(code.co_varnames[code.co_argcount + code.co_kwonlyargcount :])
    instructions = list(dis.get_instructions(code))
    for position, instruction in enumerate(instructions):
        name = instruction.opname
        if name in _CHANGING or (name == "STORE_DEREF" and instruction.argval in code.co_freevars):
            return False
        before = instructions[max(0, position - 3) : position]
        if name in ("LOAD_ATTR", "LOAD_METHOD") and instruction.argval in _GROWING:
            if not before or not before[-1].opname.startswith("LOAD_FAST") or before[-1].argval not in own:
                return False
        elif name == "STORE_SUBSCR" and any(_comes_from_outside(earlier) for earlier in before):
            return False
    return True


@lru_cache(maxsize=4096)
def _is_trusted(filename: str) -> bool:
    # What libraries generate (methods of a dataclass) is compiled as "<string>".
    return (
        filename == "<string>"
        or filename.startswith("<frozen")
        or os.path.realpath(filename).startswith(_LIBRARIES)
    )


def _comes_from_outside(instruction: dis.Instruction) -> bool:
    return instruction.opname in ("LOAD_GLOBAL", "LOAD_DEREF", "LOAD_ATTR", "LOAD_NAME")


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
    """Whether the call makes something of that shape at all; if not, it will tell itself."""
    return all(
        size in (1, wanted) for shape in shapes for size, wanted in zip(shape[::-1], to[::-1], strict=False)
    )


def _count(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
