"""Python numbers that a program computes again in every step, such as a learning rate: computed again in a replay too.

A recorded op holds the number itself. Where the person's source says how it follows from the loop's variable, from
counters and from constants, their own expression is read again for every step. What is followed must give the recorded
number at the recorded step; everything else that may change stays as it was, and is listed.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

from gradcheck.base import numbers
from gradcheck.fronts.tape import Kind, Op
from gradcheck.isolation.errors import CannotIsolateError
from gradcheck.isolation.plain_reader import StepReader, UnknownError, moved_by
from gradcheck.isolation.step import TrainingStep
from gradcheck.judge.judgement import Judgement
from gradcheck.program.reading.names import assignments, names_read, names_written
from gradcheck.program.reading.tree import called, operands

Place = tuple[int, int | str]  # an op's index, and which of its arguments
_MOST_STARTS = 64  # combinations of what the counters may have been when the step began
_EARLIER = 3


@dataclass(frozen=True)
class _Argument:
    """A number that may change, and the expression that it comes from. `late`: counters that it reads were moved
    before."""

    op: Op
    key: int | str
    was: float
    node: ast.expr
    late: bool

    @property
    def text(self) -> str:
        return ast.unparse(self.node)


@dataclass
class FollowedNumbers:
    """`arguments` are those that change from step to step: each as an item of `now`, what `at` gives."""

    arguments: dict[Place, str] = field(default_factory=dict)
    followed: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    simulation: _Simulation | None = None
    _known: list[list[Any]] = field(default_factory=list)

    def at(self, number: int) -> list[Any]:
        """What they are in a step of the replay, in their order; they depend on no tensor."""
        assert self.simulation is not None
        while len(self._known) <= number:
            try:
                self._known.append(self.simulation.step(len(self._known)))
            except Exception as error:
                number = len(self._known)
                raise CannotIsolateError(
                    f"the Python numbers of step {number} cannot be computed: {error}"
                ) from error
        return self._known[number]


def follow_numbers(judgement: Judgement, step: TrainingStep) -> FollowedNumbers:
    return _Follower(judgement, step).result()


class _Simulation:
    """The loop's own statements on numbers, step after step from `start`."""

    def __init__(self, follower: _Follower, arguments: Sequence[_Argument], start: dict[str, Any]) -> None:
        self._follower = follower
        self._reader = follower.reader
        self._op = arguments[0].op
        self._arguments: dict[int, list[tuple[int, _Argument]]] = defaultdict(list)
        for i, argument in enumerate(arguments):
            self._arguments[follower.statements[argument.op.index]].append((i, argument))
        self._count = len(arguments)
        self._state = dict(start)
        self._needed = set(follower.reader.needed)

    def step(self, number: int, checked: bool = False) -> list[Any]:
        """The arguments in this step. Raises _DiffersError if one is `checked` and not what was recorded."""
        reader, found = self._reader, [None] * self._count
        reader.number, reader.state, reader.needed = number, self._state, self._needed
        try:
            counting = reader.counting(self._op)
        except UnknownError:
            raise _DiffersError from None
        if counting is not None:
            self._state[counting[0]] = counting[1] + number * counting[2]
        assert reader.loop is not None
        for i, statement in enumerate(reader.loop.body):
            for place, argument in self._arguments.get(i, ()):
                found[place] = self._follower.value(argument)
                if checked and found[place] != argument.was:
                    raise _DiffersError
            try:
                reader.perform(statement, self._op)
            except UnknownError:
                raise _DiffersError from None
            if checked and not self._follower.agrees(i, names_written(statement) & reader.needed):
                raise _DiffersError
        return found


class _Follower:
    def __init__(self, judgement: Judgement, step: TrainingStep) -> None:
        self.reader = StepReader(judgement, step)
        self._step = step
        self._places = judgement.places
        self._frozen: dict[str, None] = {}
        self._leading: dict[str, set[str]] = {}  # functions that a function is called from, by name
        self._moves = False  # whether the argument that was read last changes from step to step
        self._seen: dict[tuple[object, ...], _Argument | None] = {}

    def result(self) -> FollowedNumbers:
        if self.reader.loop is None:
            return FollowedNumbers()
        arguments: list[_Argument] = []
        for op in self._step.ops:
            if op.kind not in (Kind.ESCAPE, Kind.BACKWARD, Kind.RANDOM):
                for key, was in _numbers_of(op):
                    argument = self._known_argument(op, key, was)
                    if argument is not None:
                        arguments.append(argument)
        found = FollowedNumbers()
        while arguments:
            found.simulation = self._simulation(arguments)
            if found.simulation is not None:
                break  # else nothing reproduces what was recorded: leave out the last that was added
            dropped = arguments.pop()
            self._freeze(dropped.op, dropped.text, dropped.was)
        found.arguments = {(a.op.index, a.key): f"now[{i}]" for i, a in enumerate(arguments)}
        found.followed = list(dict.fromkeys(f"`{a.text}` in line {self._line(a.op)}" for a in arguments))
        found.frozen = list(self._frozen)
        return found

    # -- arguments -------------------------------------------------------------------------------------------------

    def _known_argument(self, op: Op, key: int | str, was: float) -> _Argument | None:
        """A loop within the step comes by the same expression with the same number many times."""
        place = op.code, op.lasti, key, was
        if place not in self._seen:
            self._seen[place] = self._argument(op, key, was)
        known = self._seen[place]
        return known and replace(known, op=op)

    def _argument(self, op: Op, key: int | str, was: float) -> _Argument | None:
        """None where the number is a constant, or has to stay as it is."""
        doubtful: ast.expr | None = None
        nodes = operands(self._places.node(op))
        if any(isinstance(node, ast.Constant) and node.value == was for node in nodes):
            return None
        needed = set(self.reader.needed)
        for node in nodes:
            for late in (False, True):
                argument = _Argument(op, key, was, node, late)
                try:
                    simulation = self._simulation([argument])
                except UnknownError as error:
                    self.reader.needed = set(needed)
                    if not error.varies:
                        break
                else:
                    if simulation is not None:
                        return argument if self._moves else None
                    self.reader.needed = set(needed)
                    if not self._moves:
                        break
                if not (names_read(node) | _attributes(node)) & self.reader.tensors:
                    doubtful = node
        if doubtful is not None:
            self._freeze(op, ast.unparse(doubtful), was)
        return None

    def value(self, argument: _Argument) -> Any:
        function = self.reader.source.function(argument.op.code)
        self.reader.moves = False
        try:
            return self.reader.value_of(argument.node, argument.op, function, argument.late)
        finally:
            self._moves = self.reader.moves

    def _freeze(self, op: Op, text: str, was: float) -> None:
        self._frozen[f"`{text}` = {numbers.value(was, 4)} in line {self._line(op)}"] = None

    def _line(self, op: Op) -> int:
        return self._places.location(op).line

    # -- what reproduces the recorded step -------------------------------------------------------------------------

    def _simulation(self, arguments: Sequence[_Argument]) -> _Simulation | None:
        """None if nothing reproduces the numbers of the recorded step. Raises UnknownError for an argument."""
        while True:
            needed = set(self.reader.needed)
            for start in self._starts(arguments):
                try:
                    _Simulation(self, arguments, start).step(0, checked=True)
                except (
                    Exception
                ) as error:  # whatever the person's expression raises over numbers it was never given
                    if self.reader.needed != needed:
                        break  # it reads names that were not known to be needed
                    if isinstance(error, UnknownError):
                        raise
                else:
                    if self.reader.needed != needed:
                        break
                    return _Simulation(self, arguments, start)
            else:
                return None

    def _starts(self, arguments: Sequence[_Argument]) -> Iterator[dict[str, Any]]:
        """What the names that are carried from step to step may have held when the step began."""
        assert self.reader.loop is not None
        carried = sorted(self.reader.needed - set(self.reader.loop.targets()))
        possible = [self._possible_starts(name, arguments) for name in carried]
        for tried, chosen in enumerate(product(*possible)):
            if tried >= _MOST_STARTS:
                return
            yield dict(zip(carried, chosen, strict=True))

    def _possible_starts(self, name: str, arguments: Sequence[_Argument]) -> list[Any]:
        """The likeliest first. What was set before the first op of the step is noted at the same moment as what was
        set just before the step, and what earlier steps made of it may not be noted at all."""
        assert self.reader.loop is not None
        held = [b for b in self.reader.held[name] if type(b.value) in (int, float, bool)]
        before = [b.value for b in held if b.when <= self._step.begin]
        found = list(reversed(before[-_EARLIER:]))
        found += [a.was for a in arguments if isinstance(a.node, ast.Name) and a.node.id == name]
        within = [b.value for b in held if self._step.begin <= b.when <= self._step.end]
        for given, statement, _ in assignments(self.reader.loop.body):
            moved = moved_by(statement) if given == name else None
            if moved is not None and isinstance(moved[0], ast.Add):
                found += [value - moved[1] for value in within[-_EARLIER:]]  # type: ignore[operator]
        return list(dict.fromkeys(found)) or [None]

    def agrees(self, statement: int, names: set[str]) -> bool:
        """Whether the names hold what they held in the recorded step after this statement of the loop."""
        end = self._ends[statement]
        for name in names:
            held = [
                b.value
                for b in self.reader.held[name]
                if self._step.begin <= b.when <= end and b.scope == self.reader.scope
            ]
            if held and self.reader.state.get(name) != held[-1]:
                return False
        return True

    @cached_property
    def statements(self) -> dict[int, int]:
        """For every op of the step the statement of the loop that it belongs to."""
        found: dict[int, int] = {}
        current = 0
        for op in self.reader.recording.ops[self._step.begin : self._step.end]:
            current = found[op.index] = max(current, self._statement_of(op, current))
        return found

    @cached_property
    def _ends(self) -> list[int]:
        """For every statement of the loop the first op of what comes after it."""
        assert self.reader.loop is not None
        ends = [self._step.end] * len(self.reader.loop.body)
        for op, statement in reversed(self.statements.items()):
            for i in range(statement):
                ends[i] = op
        return ends

    def _statement_of(self, op: Op, current: int) -> int:
        """By the line of the op, or by the call of the function it is in."""
        assert self.reader.loop is not None
        site, body = self.reader.loop.site, self.reader.loop.body
        if op.code.co_filename == site.filename and site.line <= self._line(op) <= site.end_line:
            return self.reader.loop.statement_at(self._line(op)) or 0
        names = self._names_leading_to(op.code.co_name)
        for i in range(current, len(body)):
            if any(isinstance(n, ast.Call) and called(n) in names for n in ast.walk(body[i])):
                return i
        return current

    def _names_leading_to(self, name: str) -> set[str]:
        if name not in self._leading:
            names, source = {name}, self.reader.source
            for _ in range(4):
                calls = (source.call_sites(node) for node in source.functions if node.name in names)
                names |= {owner.name for found in calls for owner, _ in found if owner is not None}
            self._leading[name] = names
        return self._leading[name]


class _DiffersError(Exception):
    pass


def _attributes(node: ast.expr) -> set[str]:
    """`self.out`, `grads['W']`."""
    return {ast.unparse(n) for n in ast.walk(node) if isinstance(n, (ast.Attribute, ast.Subscript))}


def _numbers_of(op: Op) -> Iterator[tuple[int | str, float]]:
    for i, argument in enumerate(op.args or ()):
        if type(argument) in (int, float):
            yield i, argument
    for name, argument in (op.kwargs or {}).items():
        if type(argument) in (int, float):
            yield name, argument
