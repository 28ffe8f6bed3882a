"""Findings that the person suppresses with `# gradcheck: ignore[GC101]` on their line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from gradcheck.checks import gc001_unused_suppression as gc001
from gradcheck.checks.finding import Finding, SuppressedFinding
from gradcheck.checks.registry import (
    OWN_FAMILY,
    all_rules,
    in_reading_order,
    is_selected,
    rules_meant,
    similar_rules,
)
from gradcheck.program.comments import Directive, directives
from gradcheck.program.location import Location
from gradcheck.program.reading.tree import Tree
from gradcheck.program.source import SourceMap, SourceUnit

Piece = tuple[str, int | None]  # a file, or one cell of it


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What comments did to the findings."""

    left: list[Finding]  # with `own`, in reading order
    suppressed: list[SuppressedFinding]
    own: list[Finding]  # about the comments themselves, suppressed or not
    comments: int  # how many there are, readable or not


def suppress(
    findings: Iterable[Finding],
    sources: SourceMap,
    recorded: Mapping[Piece, AbstractSet[int]],
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Suppressed:
    """Separates what the comments in `sources` suppress, and adds findings about the comments themselves.

    `recorded` are the lines that something was recorded of. `select` and `ignore` are those the findings were made
    with: a comment about a rule that was off is not reported as unused.
    """
    comments = _Comments(sources, recorded)
    left, suppressed = comments.sort(findings)
    own = list(comments.own_findings(select, ignore)) if is_selected(gc001.RULE, select, ignore) else []
    own_left, own_suppressed = comments.sort(own)
    return Suppressed(in_reading_order(left + own_left), suppressed + own_suppressed, own, comments.count)


class _Comments:
    def __init__(self, sources: SourceMap, recorded: Mapping[Piece, AbstractSet[int]]) -> None:
        self._recorded = recorded
        self._comments: dict[Piece, list[IgnoreComment]] = {}
        self._unreadable: list[Finding] = []
        self._statements: dict[Piece, Tree] = {}
        self._used: set[tuple[IgnoreComment, str]] = set()  # with which of its codes; "" if it has none
        for unit in sources.units.values():
            read = list(read_comments(unit))
            if not read or unit.tree.error is not None:  # what has errors was not run
                continue
            piece = unit.file, unit.cell
            self._statements[piece] = unit.tree
            self._comments[piece] = [comment for comment in read if isinstance(comment, IgnoreComment)]
            self._unreadable += [comment for comment in read if isinstance(comment, Finding)]

    @property
    def count(self) -> int:
        return len(self._unreadable) + sum(map(len, self._comments.values()))

    def sort(self, findings: Iterable[Finding]) -> tuple[list[Finding], list[SuppressedFinding]]:
        left: list[Finding] = []
        suppressed: list[SuppressedFinding] = []
        for finding in findings:
            silencing = [(c, code) for c in self._beside(finding) for code in _codes_for(c, finding.rule)]
            self._used.update(silencing)
            if silencing:
                suppressed.append(SuppressedFinding(finding, silencing[0][0].location))
            else:
                left.append(finding)
        return left, suppressed

    def _beside(self, finding: Finding) -> Iterator[IgnoreComment]:
        place = finding.location
        comments = self._comments.get((place.file, place.cell))
        if not comments:
            return
        edges = self._statements[place.file, place.cell].edges(place.line)
        for comment in comments:
            line = comment.location.line
            if place.line <= line <= place.end_line or line in edges:
                yield comment

    def own_findings(self, select: Sequence[str], ignore: Sequence[str]) -> Iterator[Finding]:
        yield from self._unreadable
        for piece, comments in self._comments.items():
            for comment in comments:
                for code, place in comment.codes:
                    if not rules_meant(code):
                        yield gc001.unknown(place, code, similar_rules(code))
                if self._was_recorded(piece, comment.location.line):
                    yield from self._unused(comment, select, ignore)

    def _was_recorded(self, piece: Piece, line: int) -> bool:
        """Whether anything was recorded in the block of the line; only then was it examined."""
        lines = self._recorded.get(piece, frozenset())
        block = self._statements[piece].block(line)
        return bool(lines) if block is None else any(number in lines for number in block)

    def _unused(
        self, comment: IgnoreComment, select: Sequence[str], ignore: Sequence[str]
    ) -> Iterator[Finding]:
        codes = [code for code, _ in comment.codes] or [""]
        unused = [
            code for code in codes if (comment, code) not in self._used and _was_on(code, select, ignore)
        ]
        if unused:
            named = [code for code in unused if code]
            yield gc001.unused(comment.location, named, whole=unused == codes, alone=comment.alone)


def _codes_for(comment: IgnoreComment, rule: str) -> Iterator[str]:
    """The codes of the comment that mean the rule."""
    own = rule.startswith(OWN_FAMILY)
    if not comment.codes and not own:
        yield ""
    for code, _ in comment.codes:
        meant = [each.code for each in rules_meant(code)]
        # "every rule" does not include the one that reports the comment: it could never report anything.
        if rule in meant and (not own or all(each.startswith(OWN_FAMILY) for each in meant)):
            yield code


def _was_on(code: str, select: Sequence[str], ignore: Sequence[str]) -> bool:
    """Whether all rules that the code names were on; "" names every rule. Rules about comments do not count: what they
    find is known too late."""
    meant = [
        rule for rule in (rules_meant(code) if code else all_rules()) if not rule.code.startswith(OWN_FAMILY)
    ]
    return bool(meant) and all(is_selected(rule, select, ignore) for rule in meant)


IGNORE, OF = "ignore", "of"
_CODE = re.compile(r"[^\s,\[\]]+")
_CODE_LIKE = re.compile(r"gc\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IgnoreComment:
    location: Location
    codes: tuple[tuple[str, Location], ...]  # as in --select, each with its place; none means every rule
    alone: bool  # there is nothing else on its line


def read_comments(unit: SourceUnit) -> Iterator[IgnoreComment | Finding]:
    """A finding for a comment that cannot be read."""
    for directive in directives(unit):
        if directive.word == IGNORE:
            yield _read(directive)
        elif directive.word != OF and difflib.get_close_matches(directive.word, [IGNORE], cutoff=0.7):
            instead = f"# gradcheck: ignore{directive.rest}"
            yield gc001.unreadable(directive.location, f"there is no `{directive.word}`", instead)


def _read(directive: Directive) -> IgnoreComment | Finding:
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
        return gc001.unreadable(directive.location, "`[` is not closed", f"# gradcheck: ignore[{listed}]")
    if not codes:
        return gc001.unreadable(
            directive.location, "there is no rule in its brackets", "# gradcheck: ignore[GC101]"
        )
    return IgnoreComment(directive.location, tuple(codes), directive.alone)


def _without_brackets(directive: Directive) -> IgnoreComment | Finding:
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
        return gc001.unreadable(directive.location, "codes are written in brackets", instead)
    return IgnoreComment(directive.location, (), directive.alone)


def _place(directive: Directive, offset: int, match: re.Match[str]) -> Location:
    column = directive.rest_column + offset
    return replace(directive.location, column=column, end_column=column + len(match.group()))
