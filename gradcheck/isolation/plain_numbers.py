"""Python numbers that a program computes again in every step, such as a learning rate: computed again in a replay too.

A recorded op holds the number itself. Where the person's lines, read again over plain numbers, give that number in the
recorded step, they are read again for every step of a replay. Everything else that may change stays as it was, and is
listed.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gradcheck.base import numbers
from gradcheck.fronts.tape import Kind, Op
from gradcheck.isolation.plain_loop import NUMBERS, RecordedLoop, recorded_loop
from gradcheck.isolation.plain_reader import State, StepReader, Unknown
from gradcheck.isolation.step import CannotIsolateError, TrainingStep
from gradcheck.judge.judgement import Judgement
from gradcheck.program.reading.names import names_read
from gradcheck.program.reading.tree import operands

Place = tuple[int, int | str]  # an op's index, and which of its arguments
# How far the counters of a loop are moved to see which numbers follow them.
_FURTHER = (0, 1, 7, 1000, 1_000_000)


@dataclass(frozen=True)
class _Argument:
    """A number among the arguments of an op, and the expressions that it may come from. The op is number `turn` of
    `turns` that the same place of the source made in the step."""

    op: Op
    key: int | str
    was: float
    nodes: list[ast.expr]
    turn: int
    turns: int

    def value(self, node: ast.expr, trace: dict[ast.AST, list[Any]]) -> Any:
        """What `node` gave for it; None if that is not known."""
        found = trace.get(node, [])
        known = [value for value in found if type(value) in NUMBERS]
        if not known or len(known) < len(found):
            return None
        if len(found) == self.turns:
            return found[self.turn]
        return found[0] if len(set(found)) == 1 else None


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
            self._known.append(self.simulation.next(len(self._known)))
        return self._known[number]


def follow_numbers(judgement: Judgement, step: TrainingStep) -> FollowedNumbers:
    loop, found = recorded_loop(judgement, step), FollowedNumbers()
    if loop is None:
        return found
    reader = StepReader(loop)
    arguments = list(_arguments(judgement, step))
    reader.wanted = {node for argument in arguments for node in argument.nodes}
    simulation = _Simulation(reader, loop)
    trace, moved = simulation.first_step()
    for argument in arguments:
        line = judgement.places.location(argument.op).line
        node = next((n for n in argument.nodes if argument.value(n, trace) == argument.was), None)
        if node is None:
            doubtful = [n for n in argument.nodes if _varies(n, trace) and not _names(n) & loop.tensors]
            for node in doubtful[:1]:
                found.frozen.append(
                    f"`{ast.unparse(node)}` = {numbers.value(argument.was, 4)} in line {line}"
                )
            continue
        simulation.followed.append((argument, node))
        if any(argument.value(node, other) != argument.was for other in moved):
            found.followed.append(f"`{ast.unparse(node)}` in line {line}")
    found.followed, found.frozen = (list(dict.fromkeys(texts)) for texts in (found.followed, found.frozen))
    if found.followed or reader.branches:
        found.simulation = simulation
        places = [(argument.op.index, argument.key) for argument, _ in simulation.followed]
        found.arguments = {place: f"now[{i}]" for i, place in enumerate(places)}
    return found


class _Simulation:
    """The loop's own statements on numbers, step after step."""

    def __init__(self, reader: StepReader, loop: RecordedLoop) -> None:
        self._reader = reader
        held = loop.at_end()
        self._counting = self._counted(loop, held)
        self._start = self._state = self._before(held)
        self.followed: list[tuple[_Argument, ast.expr]] = []

    def first_step(self) -> tuple[dict[ast.AST, list[Any]], list[dict[ast.AST, list[Any]]]]:
        """What the recorded step gives; and what it gives with all that counts further on, or, for the conditions, as they
        are not now."""
        reader, start = self._reader, self._start
        after = self._step(start)
        trace, moved = reader.trace, []
        counters = _moved(start, after)
        reader.contrary = {key if isinstance(key, str) else key[1] for key in counters}
        reader.contrary |= {self._counting[0]} if self._counting else set()
        for further in _FURTHER:
            self._step({key: v + further if key in counters else v for key, v in start.items()}, further)
            moved.append(reader.trace)
            reader.contrary = set()
        return trace, moved

    def next(self, number: int) -> list[float]:
        """The numbers of this step. Steps come in their order."""
        self._state = self._step(self._state, number)
        found = [argument.value(node, self._reader.trace) for argument, node in self.followed]
        if None in found:
            raise CannotIsolateError(f"the Python numbers of step {number} cannot be computed")
        return [number for number in found if number is not None]

    def _counted(self, loop: RecordedLoop, held: State) -> tuple[str, Any, Any] | None:
        """The variable of the loop that counts, what it held in the recorded step, and by how much it moves."""
        if (found := loop.counting()) is None:
            return None
        name, first, stride = found
        by = self._reader.read_with(held, stride)
        at = held[name] if name in held else self._reader.read_with(held, first) + loop.iteration * by
        return (name, at, by) if type(at) in NUMBERS and type(by) in NUMBERS else None

    def _step(self, state: State, number: int = 0) -> State:
        if self._counting is not None:
            name, at, by = self._counting
            state = {**state, name: at + number * by}
        return self._reader.step(state)

    def _before(self, end: State) -> State:
        """What was held when the recorded step began, by what was held at its end: a step adds the same as the next,
        or multiplies by the same."""
        after = self._step(end)
        end = {key: self._reader.live(key) for key in after if not isinstance(key, str)} | end
        moved = {key: after[key] for key in _moved(end, after)}
        added = {key: 2 * end[key] - value for key, value in moved.items()}
        again = self._step(end | added)
        times = {key: end[key] ** 2 / value for key, value in moved.items() if value}
        return end | {k: v if _same(again[k], end[k]) else times.get(k, v) for k, v in added.items()}


def _arguments(judgement: Judgement, step: TrainingStep) -> Iterator[_Argument]:
    """The numbers that the source gives no constant for."""
    ops = [op for op in step.ops if op.kind not in (Kind.ESCAPE, Kind.BACKWARD, Kind.RANDOM)]
    turns = Counter((op.code, op.lasti) for op in ops)
    seen: Counter[tuple[object, int]] = Counter()
    for op in ops:
        place = op.code, op.lasti
        nodes = operands(judgement.places.node(op))
        for key, was in (*enumerate(op.args or ()), *(op.kwargs or {}).items()):
            constant = any(isinstance(node, ast.Constant) and node.value == was for node in nodes)
            if isinstance(was, (int, float)) and not isinstance(was, bool) and not constant:
                yield _Argument(op, key, was, nodes, seen[place], turns[place])
        seen[place] += 1


def _moved(before: State, after: State) -> set[Any]:
    """The numbers that another one has taken the place of."""
    both = {key for key in before.keys() & after.keys() if type(before[key]) in NUMBERS}
    return {key for key in both if type(after[key]) in NUMBERS and not _same(before[key], after[key])}


def _same(first: Any, second: Any) -> bool:
    return type(first) in NUMBERS and math.isclose(first, second, rel_tol=1e-12)


def _varies(node: ast.expr, trace: dict[ast.AST, list[Any]]) -> bool:
    """Whether it is not known, and may be another number in another step."""
    found = trace.get(node)
    return found is None or any(isinstance(value, Unknown) and value.varies for value in found)


def _names(node: ast.expr) -> set[str]:
    """With `self.out`, `grads['W']`."""
    parts = (n for n in ast.walk(node) if isinstance(n, (ast.Attribute, ast.Subscript)))
    return names_read(node) | {ast.unparse(part) for part in parts}
