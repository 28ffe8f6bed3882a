"""Lets calls of NumPy code that exists already be followed, and arrays be values, for as long as it is watched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.fronts import arrays
from gradcheck.program.array_calls import libraries_of
from gradcheck.program.hooked_code import followed
from gradcheck.program.reached import reached_from
from gradcheck.program.source import SourceMap

_decided: list[bool] = []


@contextmanager
def followed_calls(things: Sequence[Any], sources: SourceMap) -> Iterator[None]:
    """Of `things` and what they reach, if that computes with NumPy and not with torch. Within another one, that one
    has decided."""
    if _decided:
        sources.loops.array_calls = _decided[-1]
        yield
        return
    arrays.reset()
    reached = reached_from(list(things), sources.is_user)
    libraries = reached.libraries
    if not libraries:  # it does arithmetic with what it is given
        units = [unit for file in reached.files if (unit := sources.unit(file)) is not None]
        libraries = set().union(*(libraries_of(unit.code) for unit in units))
    uses_numpy = sources.loops.array_calls = libraries == {"numpy"}
    if uses_numpy:
        arrays.add(np.ndarray, np.floating)
    _decided.append(uses_numpy)
    try:
        with followed(reached.files if uses_numpy else (), sources):
            yield
    finally:
        _decided.pop()
