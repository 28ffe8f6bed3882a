"""Comments that speak to gradcheck: `# gradcheck: ignore[GC101]`, `# gradcheck: of A_1`.

Only real comments count, so `tokenize` separates them from a `#` inside a string. Several may share a line, also with those
of other tools: `# noqa: E501  # gradcheck: ignore`.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gradcheck.program.location import Location
from gradcheck.program.source import SourceUnit

_DIRECTIVE = re.compile(r"#\s*gradcheck\s*:\s*(?P<word>\w+)(?P<rest>[^#]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Directive:
    """`word` says what is wanted, in lower case, and `rest` is all that follows, as it is written."""

    word: str  # "ignore"
    rest: str  # "[GC101, GC3]"
    location: Location  # from the `#` to the last character
    rest_column: int  # of the first character of `rest`
    alone: bool  # nothing but the comment is on its line


@lru_cache(maxsize=64)
def directives(unit: SourceUnit) -> tuple[Directive, ...]:
    """All of them, in reading order. Where the text is not Python, those before the first error."""
    return tuple(
        _directive(unit, token, match)
        for token in _comments(unit)
        for match in _DIRECTIVE.finditer(token.string)
    )


def _directive(unit: SourceUnit, token: tokenize.TokenInfo, match: re.Match[str]) -> Directive:
    line, before = token.start
    written = match.group().rstrip()
    column = before + match.start() + 1
    return Directive(
        match["word"].lower(),
        match["rest"].rstrip(),
        Location(unit.file, unit.cell, line, line, column, column + len(written)),
        before + match.start("rest") + 1,
        not token.line[:before].strip(),
    )


def _comments(unit: SourceUnit) -> Iterator[tokenize.TokenInfo]:
    if "gradcheck" not in unit.code.lower():
        return  # most programs; reading tokens takes longer than looking
    try:
        for token in tokenize.generate_tokens(io.StringIO(unit.code).readline):
            if token.type == tokenize.COMMENT:
                yield token
    except (tokenize.TokenError, SyntaxError):
        return
