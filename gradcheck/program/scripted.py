"""Functions that TorchScript or `torch.compile` compiles: they run as the Python they are written in, since nobody sees
into what is compiled."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

_OF_COMPILED = ("code", "graph", "inlined_graph", "schema", "save", "graph_for")


@contextmanager
def scripted_as_python(is_user: Callable[[str], bool]) -> Iterator[None]:
    """TorchScript compiles the person's functions all the same: what that raises is the program's, and what is read of the
    compiled function is there. `torch.compile` changes nothing but the speed."""
    plain, plain_compile = torch.jit.script, torch.compile

    def is_theirs(thing: Any) -> bool:
        return inspect.isfunction(thing) and is_user(thing.__code__.co_filename)

    def script(thing: Any, *args: Any, **options: Any) -> Any:
        compiled = plain(thing, *args, **options)
        for name in _OF_COMPILED if is_theirs(thing) else ():
            if hasattr(compiled, name):
                setattr(thing, name, getattr(compiled, name))
        return thing if is_theirs(thing) else compiled

    def compile_(model: Any = None, **options: Any) -> Any:
        if model is None:
            return partial(compile_, **options)
        return model if is_theirs(model) else plain_compile(model, **options)

    torch.jit.script, torch.compile = script, compile_  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.jit.script, torch.compile = plain, plain_compile
