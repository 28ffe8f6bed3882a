"""Reads `# gradcheck: ignore[GC101, GC3]`: which rules it suppresses, or why it cannot be read.

A comment that is meant to suppress something and is silently ignored would be worse than none.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradcheck.checks.registry import rules_meant
from gradcheck.program.comments import Directive, directives
from gradcheck.program.location import Location
from gradcheck.program.source import SourceUnit

IGNORE, OF = "ignore", "of"
_CODE = re.compile(r"[^\s,\[\]]+")
_CODE_LIKE = re.compile(r"gc\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IgnoreComment:
    location: Location
    codes: tuple[tuple[str, Location], ...]  # as in --select, each with its place; none means every rule
    alone: bool  # there is nothing else on its line


@dataclass(frozen=True, slots=True)
class Unreadable:
    location: Location
    problem: str
    instead: str  # what may have been meant


def read_comments(unit: SourceUnit) -> Iterator[IgnoreComment | Unreadable]:
    for directive in directives(unit):
        if directive.word == IGNORE:
            yield _read(directive)
        elif directive.word != OF and difflib.get_close_matches(directive.word, [IGNORE], cutoff=0.7):
            instead = f"# gradcheck: ignore{directive.rest}"
            yield Unreadable(directive.location, f"there is no `{directive.word}`", instead)


def _read(directive: Directive) -> IgnoreComment | Unreadable:
    rest = directive.rest
    if not rest.lstrip().startswith("["):
        return _without_brackets(directive)
    opening = rest.index("[")
    closing = rest.find("]")
    inside = rest[opening + 1 : closing if closing >= 0 else None]
    codes = [
        (match.group(), _place(directive, opening + 1 + match.start(), match))
        for match in _CODE.finditer(inside)
    ]
    listed = ", ".join(code for code, _ in codes) or "GC101"
    if closing < 0:
        return Unreadable(directive.location, "`[` is not closed", f"# gradcheck: ignore[{listed}]")
    if not codes:
        return Unreadable(
            directive.location, "there is no rule in its brackets", "# gradcheck: ignore[GC101]"
        )
    return IgnoreComment(directive.location, tuple(codes), directive.alone)


def _without_brackets(directive: Directive) -> IgnoreComment | Unreadable:
    """Every rule; what follows is the reason. A code there should be in brackets: suppressing all other rules as well
    was not intended."""
    words = _CODE.findall(directive.rest.lstrip(" \t:=("))
    codes = []
    for word in words:
        code = word.strip(".:;()")
        if not (_CODE_LIKE.match(code) or rules_meant(code)):
            break
        codes.append(code)
    if codes:
        instead = f"# gradcheck: ignore[{', '.join(codes)}]"
        return Unreadable(directive.location, "codes are written in brackets", instead)
    return IgnoreComment(directive.location, (), directive.alone)


def _place(directive: Directive, offset: int, match: re.Match[str]) -> Location:
    column = directive.rest_column + offset
    return replace(directive.location, column=column, end_column=column + len(match.group()))
