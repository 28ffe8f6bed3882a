"""Python numbers that a program computes anew in every step, such as a learning rate: computed anew in a replay too.

A recorded op holds the number itself. Where the person's source says how it follows from the loop's variable, from
counters and from constants, their own expression is put in its place. What is followed must give the recorded number
at the recorded step; everything else that may change stays as it was, and is listed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

from gradcheck.base import numbers
from gradcheck.fronts.tape import Kind, Op
from gradcheck.isolation.plain_expressions import UnknownError, source_of
from gradcheck.isolation.plain_names import PlainNames, moved_by
from gradcheck.isolation.step import TrainingStep
from gradcheck.judge.judgement import Judgement
from gradcheck.program.reading.names import assignments, names_read
from gradcheck.program.reading.tree import called, expression, operands

Place = tuple[int, int | str]  # an op's index, and which of its arguments
_MOST_STARTS = 64  # combinations of what the counters may have been when the step began
_EARLIER = 3


@dataclass
class FollowedNumbers:
    """Code for a compiled step, over variables of its own: `start` before the first step; `each` at the beginning of
    every step, over its `number`; `statements` before the op of that index; `arguments` in the place of numbers."""

    start: dict[str, Any] = field(default_factory=dict)
    each: list[str] = field(default_factory=list)
    statements: list[tuple[int, list[str]]] = field(default_factory=list)
    arguments: dict[Place, str] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    followed: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)


def follow_numbers(judgement: Judgement, step: TrainingStep) -> FollowedNumbers:
    return _Follower(judgement, step).result()


@dataclass(frozen=True)
class _Argument:
    """A number that may change: what stands for it in the source, and the same over our variables."""

    op: Op
    key: int | str
    was: float
    text: str
    source: str


class _Follower(PlainNames):
    def __init__(self, judgement: Judgement, step: TrainingStep) -> None:
        super().__init__(judgement, step)
        self._frozen: dict[str, None] = {}
        self._leading: dict[str, set[str]] = {}  # functions that a function is called from, by name
        self._seen: dict[tuple[object, ...], _Argument | None] = {}

    def result(self) -> FollowedNumbers:
        if self._loop is None:
            return FollowedNumbers()
        arguments: list[_Argument] = []
        for op in self._step.ops:
            if op.kind not in (Kind.ESCAPE, Kind.BACKWARD, Kind.RANDOM):
                for key, was in _numbers_of(op):
                    argument = self._known_argument(op, key, was)
                    if argument is not None:
                        arguments.append(argument)
        found = self._assembled(arguments)
        while found is None:  # nothing reproduces what was recorded: leave out the last that was added
            dropped = arguments.pop()
            self._freeze(dropped.op, dropped.text, dropped.was)
            found = self._assembled(arguments)
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
        for node in nodes:
            for self._shift in (0, -1):
                before = set(self._needed), self._counters
                try:
                    source = source_of(self._rewriter(op, self._source.function(op)).rewrite(node))
                    changes = before != (set(self._needed), self._counters) or self._reads_ours(source)
                    if not changes:
                        if self._is_constant(source, was):
                            return None
                        break
                    if self._assembled([_Argument(op, key, was, ast.unparse(node), source)]) is not None:
                        return _Argument(op, key, was, ast.unparse(node), source)
                except UnknownError as error:
                    self._needed = before[0]
                    if not error.varies:
                        break
                if not (names_read(node) | _attributes(node)) & self._tensors:
                    doubtful = node
                self._needed = before[0]
        if doubtful is not None:
            self._freeze(op, ast.unparse(doubtful), was)
        return None

    def _reads_ours(self, source: str) -> bool:
        names = {node.id for node in ast.walk(expression(source)) if isinstance(node, ast.Name)}
        return bool(names - set(self._constants))

    def _is_constant(self, source: str, was: float) -> bool:
        try:
            return bool(eval(source, dict(self._constants)) == was)
        except Exception:
            return False

    def _freeze(self, op: Op, text: str, was: float) -> None:
        self._frozen[f"`{text}` = {numbers.value(was, 4)} in line {self._line(op)}"] = None

    def _line(self, op: Op) -> int:
        return self._places.location(op).line

    # -- assembling --------------------------------------------------------------------------------------------------

    def _assembled(self, arguments: Sequence[_Argument]) -> FollowedNumbers | None:
        """None if it does not reproduce the numbers of the recorded step."""
        found = FollowedNumbers(constants=self._constants)
        found.arguments = {(a.op.index, a.key): a.source for a in arguments}
        if not arguments:
            return found
        assert self._loop is not None
        op = arguments[0].op
        wanted = set(self._needed)
        counting = self._loop.counting()
        try:
            if counting is not None and counting[0] in wanted:
                found.each = [self._counted(*counting, op)]
            places = self._places_of_statements
            for i, statement in enumerate(self._loop.body):
                lines = list(self._translated(statement, wanted, op))
                if lines:
                    found.statements.append((places[i], lines))
        except UnknownError:
            return None
        carried = sorted(wanted - set(self._loop.targets()))
        starts = [self._possible_starts(name, arguments) for name in carried]
        for tried, chosen in enumerate(product(*starts)):
            found.start = {f"p_{name}": value for name, value in zip(carried, chosen, strict=True)}
            if tried >= _MOST_STARTS:
                return None
            if self._reproduces(found, arguments):
                return found
        return None

    def _possible_starts(self, name: str, arguments: Sequence[_Argument]) -> list[Any]:
        """What a name may have held when the step began, the likeliest first. What was set before the first op of the
        step is noted at the same moment as what was set just before the step, and what earlier steps made of it may
        not be noted at all."""
        assert self._loop is not None
        held = [b for b in self._held[name] if type(b.value) in (int, float, bool)]
        before = [b.value for b in held if b.when <= self._step.begin]
        found = list(reversed(before[-_EARLIER:]))
        found += [argument.was for argument in arguments if argument.source == f"p_{name}"]
        within = [b.value for b in held if self._step.begin <= b.when <= self._step.end]
        for given, statement, _ in assignments(self._loop.body):
            moved = moved_by(statement) if given == name else None
            if moved is not None and isinstance(moved[0], ast.Add):
                found += [value - moved[1] for value in within[-_EARLIER:]]  # type: ignore[operator]
        return list(dict.fromkeys(found)) or [None]

    @cached_property
    def _places_of_statements(self) -> list[int]:
        """For every statement of the loop the first op of what comes after it."""
        assert self._loop is not None
        body = self._loop.body
        after = [self._step.end] * len(body)
        current = 0
        for op in self._recording.ops[self._step.begin : self._step.end]:
            current = max(current, self._statement_of(op, current))
            for i in range(current):
                after[i] = min(after[i], op.index)
        return after

    def _statement_of(self, op: Op, current: int) -> int:
        """The statement of the loop that an op belongs to: by its line, or by the call of the function it is in."""
        assert self._loop is not None
        site, body = self._loop.site, self._loop.body
        if op.code.co_filename == site.filename and site.line <= self._line(op) <= site.end_line:
            return self._loop.statement_at(self._line(op)) or 0
        names = self._names_leading_to(op.code.co_name)
        for i in range(current, len(body)):
            if any(isinstance(n, ast.Call) and called(n) in names for n in ast.walk(body[i])):
                return i
        return current

    def _names_leading_to(self, name: str) -> set[str]:
        if name not in self._leading:
            names = {name}
            for _ in range(4):
                names |= {
                    owner.name
                    for _, node in self._source.functions
                    if node.name in names
                    for _, owner, _ in self._source.call_sites(node)
                    if owner is not None
                }
            self._leading[name] = names
        return self._leading[name]

    def _reproduces(self, found: FollowedNumbers, arguments: Sequence[_Argument]) -> bool:
        """Runs the plain statements of the recorded step, and compares with what was recorded."""
        variables: dict[str, Any] = {**found.constants, **found.start, "number": 0}
        try:
            exec("\n".join(found.each), variables)
            waiting = list(found.statements)
            for argument in sorted(arguments, key=lambda a: a.op.index):
                while waiting and waiting[0][0] <= argument.op.index:
                    self._run(waiting.pop(0), variables)
                if eval(argument.source, variables) != argument.was:
                    return False
            for rest in waiting:
                self._run(rest, variables)
        except _DiffersError:
            return False
        except Exception:  # the person's expression over numbers that it was never given
            return False
        return True

    def _run(self, statement: tuple[int, list[str]], variables: dict[str, Any]) -> None:
        place, lines = statement
        exec("\n".join(lines), variables)
        for name in {line.split(" = ")[0].strip().removeprefix("p_") for line in lines if " = " in line}:
            held = [
                b.value
                for b in self._held[name]
                if self._step.begin <= b.when <= place and b.scope == self._scope
            ]
            if held and variables.get(f"p_{name}") != held[-1]:
                raise _DiffersError


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
