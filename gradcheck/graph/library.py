"""Whose code runs when something is used: that of Python, of a library, or of ours alone, or also the person's."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, partial
from types import FunctionType, MethodType, ModuleType

import torch

from gradcheck.program.source import is_library


def is_of_library(thing: object) -> bool:
    """Whether using it runs code of Python, of a library, or of ours alone."""
    if isinstance(thing, MethodType):
        return is_of_library(thing.__func__)
    if isinstance(thing, ModuleType):
        return _is_library(thing.__name__)
    owner = thing if isinstance(thing, (FunctionType, type)) else type(thing)
    if not _is_library(owner.__module__):
        return False
    if isinstance(thing, torch.nn.Module):
        return all(_is_library(type(part).__module__) for part in thing.modules())
    return all(is_of_library(each) for each in _called_by(thing))


def _called_by(thing: object) -> Iterator[object]:
    """The functions that a function, or an object that can be called, holds: it may call them."""
    if isinstance(thing, partial):
        yield thing.func
    elif isinstance(thing, FunctionType):
        for cell in thing.__closure__ or ():
            with suppress(ValueError):  # an empty one
                if isinstance(cell.cell_contents, (FunctionType, MethodType, partial)):
                    yield cell.cell_contents
    elif callable(thing) and not isinstance(thing, type):
        held = getattr(thing, "__dict__", None)
        if isinstance(held, dict):
            yield from (
                each for each in held.values() if isinstance(each, (FunctionType, MethodType, partial))
            )
    if (wrapped := getattr(thing, "__wrapped__", None)) is not None:
        yield wrapped


@lru_cache(maxsize=1024)
def _is_library(module: str) -> bool:
    found = sys.modules.get(module)
    if found is None or module == "__main__":
        return False
    file = getattr(found, "__file__", None)
    return file is None or is_library(file)
