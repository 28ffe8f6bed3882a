"""Runs of drawn tokens, and where the sequences in them end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

from gradcheck.fronts.tape import Op

Token = Hashable  # the number of a token, or a character

_FEW_THAT_END = 2


@dataclass(slots=True)
class Drawn:
    """What one run of a sampling loop drew. `limited`: the loop counts what it does; `left`: it would have gone on
    for ever. Its tokens are in row `row` of what `ops` drew."""

    tokens: list[Token]
    limited: bool = False
    left: bool = False
    ops: Sequence[Op] = ()
    row: int = 0


@dataclass(slots=True)
class Collected:
    """The runs of one place in the program: those that the call `op` drew, or else those that a name holds. `filled`: they
    were drawn side by side until the last of them ended, and what follows an end is filling."""

    runs: list[Drawn]
    filled: bool
    op: Op | None = None
    classes: int = 0  # that were drawn from
    left_after: int = 0  # tokens: the longest run that had no end
    characters: bool = False  # the tokens are characters, not their numbers


@dataclass(slots=True)
class Sequences:
    """`ended` are without their end token, `cut` ended by a limit alone, `endless` not at all."""

    end: Token | None = None
    ended: list[list[Token]] = field(default_factory=list)
    cut: list[list[Token]] = field(default_factory=list)
    endless: list[list[Token]] = field(default_factory=list)
    went_on: int = 0  # runs in which the end was drawn, and drawing went on

    @property
    def all(self) -> list[list[Token]]:
        return [*self.ended, *self.cut, *self.endless]


def end_of(runs: Sequence[Drawn]) -> Token | None:
    """The token that sequences end with and that stands nowhere else in them."""
    last = Counter(run.tokens[-1] for run in runs if run.tokens and not run.left)
    inside = {token for run in runs for token in (run.tokens if run.left else run.tokens[:-1])}
    for token, number in last.most_common():
        # One cut off at a limit ends with any token; that most do so by chance is not to be expected.
        if token not in inside and number >= max(_FEW_THAT_END, len(runs) / 2):
            return token
    return None


def cut_apart(runs: Sequence[Drawn], known_end: Token | None) -> Sequences:
    """`known_end` is the token that ends the training sequences, where it is known."""
    found = Sequences(known_end if known_end is not None else end_of(runs))
    end = found.end
    stops_there = sum(bool(run.tokens) and run.tokens[-1] == end for run in runs)
    passed = sum(end in run.tokens[:-1] for run in runs)
    # One long text in which the end token stands between the words, as it does in the training data.
    streams = passed > 0 and not any(run.left for run in runs)
    streams = streams and (stops_there == len(runs) or all(run.limited for run in runs))
    for run in runs:
        _add(found, run, streams)
    return found


def _add(found: Sequences, run: Drawn, stream: bool) -> None:
    tokens, end = run.tokens, found.end
    if end is None or end not in tokens:
        (found.endless if run.left else found.cut).append(tokens)
    elif stream:
        pieces = _pieces(tokens, end)
        found.ended += pieces[:-1]  # what follows the last end token is no whole sequence
    elif tokens.index(end) == len(tokens) - 1:
        found.ended.append(tokens[:-1])
    else:
        found.went_on += 1
        (found.endless if run.left else found.cut).append(tokens)


def _pieces(tokens: Sequence[Token], end: Token) -> list[list[Token]]:
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token == end:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def without_filling(runs: Sequence[Drawn], end: Token) -> list[Drawn]:
    """The runs, each up to its end."""
    return [replace(r, tokens=r.tokens[: r.tokens.index(end) + 1]) if end in r.tokens else r for r in runs]
