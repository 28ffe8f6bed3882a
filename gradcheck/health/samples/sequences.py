"""The tokens that a program draws after its training, one run of its sampling loop after the other, and where they end."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import CodeType

import torch

from gradcheck.fronts.tape import LoopRun, Op, Recording, Value
from gradcheck.program.observer import LoopEnd

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
        found.ended += _pieces(tokens, end)[:-1]  # what follows the last end token is no whole sequence
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


_MOST_ROWS = 100_000


def drawn_sets(recording: Recording) -> list[Collected]:
    """Those that could be sequences: one token at a time, in a loop."""
    by_place: dict[tuple[CodeType, int], list[Op]] = {}
    for op in recording.aftermath_ops:
        if op.name == "multinomial" and isinstance(op.out, Value) and op.out.data is not None and op.args:
            by_place.setdefault((op.code, op.lasti), []).append(op)
    found = []
    for ops in by_place.values():
        made = _set_of(ops, recording.loop_runs)
        if made is not None:
            found.append(made)
    return found


def _set_of(ops: Sequence[Op], loop_runs: Sequence[LoopRun]) -> Collected | None:
    shapes = {_rows_and_classes(op) for op in ops}
    if len(shapes) != 1:
        return None  # rows that are dropped as they end cannot be told apart
    shape = shapes.pop()
    if shape is None:
        return None
    rows, classes = shape
    found = Collected([], rows > 1, ops[0], classes)
    for run, drawn in _by_innermost_run(ops, loop_runs):
        # It had no end; a loop around it is left as well, but it is the one that draws.
        left = run.how is LoopEnd.LEFT and run.site.is_while and not run.site.is_bounded
        if left:
            found.left_after = max(found.left_after, run.turns)
        # A loop that is not on the tape to its end, or not from its beginning. Its last turn may draw nothing.
        if not left and (run.how is None or len(drawn) < run.turns - 1):
            continue
        for row, tokens in enumerate(zip(*map(_tokens, drawn), strict=True)):
            limited, endless = rows > 1 or run.site.is_bounded, rows == 1 and left
            found.runs.append(Drawn(list(tokens), limited, endless, drawn, row))
    return found if found.runs else None


def _rows_and_classes(op: Op) -> tuple[int, int] | None:
    """Of one draw from each of some distributions."""
    weights = op.args[0]
    if not isinstance(weights, Value) or not 1 <= len(weights.shape) <= 2:
        return None
    drawn = op.out.data
    rows = weights.shape[0] if len(weights.shape) == 2 else 1
    if drawn.numel() != rows or rows > _MOST_ROWS:
        return None  # several draws from one distribution are no sequence
    return rows, weights.shape[-1]


def _tokens(op: Op) -> list[int]:
    drawn: torch.Tensor = op.out.data
    return [int(token) for token in drawn.flatten().tolist()]


def _by_innermost_run(ops: Sequence[Op], loop_runs: Sequence[LoopRun]) -> Iterator[tuple[LoopRun, list[Op]]]:
    """The draws of every run, each in the innermost run around it; draws outside of all loops are left out."""
    runs = sorted(loop_runs, key=lambda run: (run.begin, run.depth))
    open_runs: list[LoopRun] = []
    held: dict[int, tuple[LoopRun, list[Op]]] = {}
    waiting = iter(runs)
    coming = next(waiting, None)
    for op in ops:
        while coming is not None and coming.begin <= op.index:
            open_runs.append(coming)
            coming = next(waiting, None)
        open_runs = [run for run in open_runs if run.end is None or run.end > op.index]
        if open_runs:
            innermost = max(open_runs, key=lambda run: (run.depth, run.begin))
            held.setdefault(id(innermost), (innermost, []))[1].append(op)
    yield from held.values()
