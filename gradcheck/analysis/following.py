"""Lets calls of NumPy code that exists already be followed, and arrays be values, for as long as it is watched."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import numpy as np

from gradcheck.base.errors import NothingToCheckError
from gradcheck.fronts import arrays
from gradcheck.program.array_calls import goes_through_hooks, libraries_of
from gradcheck.program.hooked_code import can_be_followed, followed
from gradcheck.program.reached import reached_from
from gradcheck.program.source import SourceMap, SourceUnit

_decided: list[set[str]] = []


@contextmanager
def followed_calls(things: Sequence[Any], sources: SourceMap) -> Iterator[None]:
    """Of `things` and what they reach, if that computes with NumPy. Within another one, that one has decided."""
    if _decided:
        sources.loops.libraries = _decided[-1]
        yield
        return
    arrays.reset()
    reached = reached_from(list(things), sources.is_user)
    libraries = reached.libraries
    if not libraries:  # it does arithmetic with what it is given
        beside = {
            held.__code__.co_filename
            for function in _functions_in(things)
            for held in function.__globals__.values()
            if isinstance(held, FunctionType)
        }
        files = reached.files | {file for file in beside if sources.is_user(file)}
        units = [unit for file in files if (unit := sources.unit(file)) is not None]
        libraries = set().union(*(libraries_of(unit.code) for unit in units))
    sources.loops.libraries = libraries
    uses_numpy = sources.loops.array_calls
    if uses_numpy:
        arrays.add(np.ndarray, np.floating, alone="torch" not in libraries)
    _decided.append(libraries)
    try:
        with followed(reached.files if uses_numpy else (), sources):
            if libraries == {"numpy"}:
                _refuse_unfollowed(things, sources)
            yield
    finally:
        _decided.pop()


@contextmanager
def followed_cell(
    unit: SourceUnit, namespace: dict[str, Any], sources: SourceMap, flags: int
) -> Iterator[None]:
    """A cell that is about to be compiled and run, with what it reaches. Raises SyntaxError."""
    code = compile(unit.tree.module, unit.filename, "exec", flags, dont_inherit=True)
    reached = reached_from([FunctionType(code, namespace)], sources.is_user)
    libraries = sources.loops.libraries = reached.libraries | libraries_of(unit.code)
    arrays.reset()
    if sources.loops.array_calls:
        arrays.add(np.ndarray, np.floating, alone="torch" not in libraries)
    with followed(reached.files if sources.loops.array_calls else (), sources):
        yield


def _refuse_unfollowed(things: Sequence[Any], sources: SourceMap) -> None:
    """Raises NothingToCheckError: of what is called, every operation has to be seen."""
    for function in _functions_in(things):
        code = function.__code__
        if goes_through_hooks(code) or not sources.is_user(code.co_filename):
            continue
        if not can_be_followed(code, sources):
            known = sources.unit(code.co_filename) is not None
            why = "has changed since it was imported" if known else "cannot be read"
            raise NothingToCheckError(
                f"the source of `{function.__qualname__}` {why}: operations of NumPy are followed by compiling it again"
            )


def _functions_in(things: Sequence[Any]) -> Iterator[FunctionType]:
    """Those that are called, and the methods of objects and classes."""
    for thing in things:
        function = getattr(thing, "__func__", thing)
        if isinstance(function, FunctionType):
            yield function
            continue
        for kind in (thing if isinstance(thing, type) else type(thing)).__mro__:
            for held in vars(kind).values():
                method = getattr(held, "__func__", held)
                if isinstance(method, FunctionType):
                    yield method
