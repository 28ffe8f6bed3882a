"""What a call may come to, by names and attributes: the files of the person's, and the libraries of arrays they use.

Nothing is called and no property is read: what can only be known by running is not reached.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_LIBRARIES = frozenset({"numpy", "torch"})
_MOST_ITEMS = 400
_MOST_THINGS = 20_000


@dataclass(slots=True)
class Reached:
    files: set[str] = field(default_factory=set)  # as code names them
    libraries: set[str] = field(default_factory=set)


def reached_from(things: list[Any], is_user: Callable[[str], bool]) -> Reached:
    """From `things`: callables, classes, objects, and what they are given."""
    found = Reached()
    pending: list[tuple[Any, frozenset[str]]] = [(thing, frozenset()) for thing in things]
    seen: set[tuple[int, frozenset[str]]] = set()
    held = []  # as long as their identity counts
    while pending and len(seen) < _MOST_THINGS:
        thing, names = pending.pop()
        key = id(thing), names if isinstance(thing, ModuleType) else frozenset()
        if key in seen:
            continue
        seen.add(key)
        held.append(thing)
        pending += _next(thing, names, found, is_user)
    return found


def _next(
    thing: Any, names: frozenset[str], found: Reached, is_user: Callable[[str], bool]
) -> Iterator[tuple[Any, frozenset[str]]]:
    nothing: frozenset[str] = frozenset()
    if isinstance(thing, ModuleType):
        library = thing.__name__.partition(".")[0]
        if library in _LIBRARIES:
            found.libraries.add(library)
        elif is_user(getattr(thing, "__file__", None) or ""):
            held = vars(thing)
            yield from ((held[name], names) for name in names if name in held)
    elif isinstance(thing, FunctionType):
        if is_user(thing.__code__.co_filename):
            found.files.add(thing.__code__.co_filename)
            used = frozenset(_names_of(thing.__code__))
            known = thing.__globals__
            yield from ((known[name], used) for name in used if name in known)
            for cell in thing.__closure__ or ():
                try:
                    yield cell.cell_contents, used
                except ValueError:  # not bound yet
                    continue
        else:
            _note_library(thing, found)
        yield from ((held, nothing) for held in vars(thing).values())
    elif isinstance(thing, MethodType):
        yield thing.__func__, nothing
        yield thing.__self__, nothing
    elif isinstance(thing, (staticmethod, classmethod)):
        yield thing.__func__, nothing
    elif isinstance(thing, property):
        yield from ((part, nothing) for part in (thing.fget, thing.fset) if part is not None)
    elif isinstance(thing, partial):
        yield from ((part, nothing) for part in (thing.func, *thing.args, *thing.keywords.values()))
    elif isinstance(thing, type):
        if not _note_library(thing, found):
            yield from ((held, nothing) for held in vars(thing).values())
            yield from ((base, nothing) for base in thing.__bases__ if base is not object)
    elif isinstance(thing, (list, tuple, dict)):
        items = list(thing.values()) if isinstance(thing, dict) else thing
        yield from ((item, names) for item in items[:_MOST_ITEMS])
    elif not isinstance(thing, (str, bytes, int, float, complex, type(None))) and not _note_library(
        thing, found
    ):
        yield type(thing), nothing
        attributes = getattr(thing, "__dict__", None)
        if isinstance(attributes, dict):
            yield from ((held, nothing) for held in list(attributes.values())[:_MOST_ITEMS])


def _note_library(thing: Any, found: Reached) -> bool:
    """Whether it is a function, a class or an array of such a library; which is noted then."""
    of = getattr(thing, "__module__", None)
    for module in (of, type(thing).__module__):
        library = module.partition(".")[0] if isinstance(module, str) else ""
        if library in _LIBRARIES:
            found.libraries.add(library)
            return True
    return False


def _names_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_of(constant)
