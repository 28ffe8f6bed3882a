"""Lets functions that exist already be followed: for a while they run what their source becomes with its operations going
through hooks. They stay the same objects, with their globals and closures, so nothing else of the program notices.
"""

import __future__

import ast
import builtins
import gc
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache, reduce
from operator import or_
from types import CodeType, FunctionType

from gradcheck.base.depth import deep
from gradcheck.program.array_calls import HOOKS, goes_through_hooks, through_hooks
from gradcheck.program.array_hooks import PlainHooks
from gradcheck.program.reading.tree import parse
from gradcheck.program.source import SourceMap

# The flags of `from __future__ import`, in a code's flags as in those of `compile`.
_FUTURE = reduce(or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names))
_followed: list[set[str]] = []  # the files whose functions are followed now


@contextmanager
def followed(files: Collection[str], sources: SourceMap) -> Iterator[None]:
    """Every function of these files goes through hooks, as far as its source is what it was compiled from."""
    known = set().union(*_followed)
    wanted = {file for file in files if file not in known}
    if not hasattr(builtins, HOOKS):
        setattr(builtins, HOOKS, PlainHooks())
    changed: list[tuple[FunctionType, CodeType]] = []
    _followed.append(wanted)
    try:
        for function in functions_of(wanted):
            new = _hooked(function.__code__, sources)
            if new is not None:
                changed.append((function, function.__code__))
                function.__code__ = new
        yield
    finally:
        _followed.remove(wanted)
        for function, code in changed:
            function.__code__ = code


def functions_of(files: Collection[str]) -> list[FunctionType]:
    """All that exist now, and are from one of these files."""
    things = gc.get_objects() if files else []
    return [f for f in things if type(f) is FunctionType and f.__code__.co_filename in files]


def is_followed(filename: str) -> bool:
    return any(filename in files for files in _followed)


def can_be_followed(code: CodeType, sources: SourceMap) -> bool:
    return goes_through_hooks(code) or _hooked(code, sources) is not None


def compiled(text: str, filename: str, *, hooked: bool) -> CodeType:
    """Raises SyntaxError."""
    with deep():
        tree = parse(text, filename)
        code: CodeType = compile(through_hooks(tree) if hooked else tree, filename, "exec", dont_inherit=True)
    return code


def codes_in(code: CodeType) -> list[CodeType]:
    """It, and those of all functions in it, in the order of the text."""
    found = [code]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found += codes_in(constant)
    return found


def _hooked(code: CodeType, sources: SourceMap) -> CodeType | None:
    """What it becomes; None if its source is not known, or not what it was compiled from."""
    unit = sources.unit(code.co_filename)
    if unit is None:
        return None
    # A shell compiles a cell statement by statement, which makes another code of `np.tanh`: what `np` is cannot be seen.
    for apart in (False, True):
        pairs = _pairs(unit.code, code.co_filename, code.co_flags & _FUTURE, apart)
        same = pairs.get((code.co_qualname, code.co_firstlineno), ())
        for plain, new in same:
            if plain == code:
                return new
    # pytest compiles the `assert` statements of a test otherwise: a frame of its own reads the same text.
    if len(same) == 1 and any(name.startswith("@py") for name in (*code.co_names, *code.co_varnames)):
        plain, new = same[0]
        return new if plain.co_freevars == code.co_freevars else None
    return None


@lru_cache(maxsize=64)
def _pairs(
    text: str, filename: str, flags: int, apart: bool
) -> dict[tuple[str, int], list[tuple[CodeType, CodeType]]]:
    """Of every function in the text, by its name and its first line: as it is, and with hooks. `apart`: each statement is
    compiled on its own."""
    found: dict[tuple[str, int], list[tuple[CodeType, CodeType]]] = defaultdict(list)
    try:
        with deep():
            tree = parse(text, filename)
            pieces = [ast.Module([statement], []) for statement in tree.body] if apart else [tree]
            plain, new = (_functions(each, filename, flags) for each in (pieces, [through_hooks(tree)]))
    except (SyntaxError, ValueError):
        return found
    if [code.co_qualname for code in plain] == [code.co_qualname for code in new]:
        for pair in zip(plain, new, strict=True):
            found[pair[0].co_qualname, pair[0].co_firstlineno].append(pair)
    return found


def _functions(pieces: list[ast.Module], filename: str, flags: int) -> list[CodeType]:
    codes = [compile(piece, filename, "exec", flags, dont_inherit=True) for piece in pieces]
    return [code for each in codes for code in codes_in(each) if code is not each]
