"""Functions that TorchScript compiles: they run as the Python they are written in, since nobody sees into what is
compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_OF_COMPILED = ("code", "graph", "inlined_graph", "schema", "save", "graph_for")


@contextmanager
def scripted_as_python(is_user: Callable[[str], bool]) -> Iterator[None]:
    """The person's functions are compiled all the same: what that raises is the program's, and what is read of the
    compiled function is there."""
    plain: Callable[..., Any] = torch.jit.script

    def script(thing: Any, *args: Any, **options: Any) -> Any:
        if not inspect.isfunction(thing) or not is_user(thing.__code__.co_filename):
            return plain(thing, *args, **options)
        compiled = plain(thing, *args, **options)
        for name in _OF_COMPILED:
            if hasattr(compiled, name):
                setattr(thing, name, getattr(compiled, name))
        return thing

    torch.jit.script = script  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.jit.script = plain
