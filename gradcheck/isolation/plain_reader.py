"""What the person's expressions over plain numbers give in a step of a replay.

Names hold what was recorded, but for those that the training loop changes from step to step, and for counters.
"""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from contextlib import suppress
from functools import cached_property
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

from gradcheck.base.groups import grouped
from gradcheck.diagnosis.sandbox import is_pure
from gradcheck.fronts.tape import Op
from gradcheck.graph.library import is_of_library
from gradcheck.isolation.plain_source import PlainSource
from gradcheck.isolation.step import TrainingStep
from gradcheck.judge.judgement import Judgement
from gradcheck.program.reading.names import assignments, names_read, names_written
from gradcheck.program.reading.reader import Reader, UnknownNameError, UnreadableError
from gradcheck.program.reading.tree import Function, defaults, first_line_of

_NUMBERS = (int, float, bool, str)
_STILL = (*_NUMBERS, ModuleType, FunctionType, BuiltinFunctionType, np.ufunc, type)


class UnknownError(Exception):
    """An expression that cannot be followed. `varies`: its value may change from step to step."""

    def __init__(self, varies: bool) -> None:
        super().__init__()
        self.varies = varies


class StepReader(Reader):
    """`state` are the names of the loop that change, as they are at this point of the step of this `number`. `needed`
    are those that were read; `moves` says that the last reading met one, or a counter."""

    def __init__(self, judgement: Judgement, step: TrainingStep) -> None:
        super().__init__()
        self.recording = judgement.recording
        self.step = step
        self.source = PlainSource(judgement.recording, judgement.sources)
        self.loop = self.source.loop(step.begin, step.end)
        self.tensors = {binding.name for binding in judgement.recording.bindings}
        held = grouped((binding.name, binding) for binding in judgement.recording.plain)
        self.held = defaultdict(list, held)  # by name, in the order of the recording
        self.state: dict[str, Any] = {}
        self.needed: set[str] = set()
        self.number = 0
        self.moves = False
        self._late = False  # counters are read after they were moved
        self._contexts: list[tuple[Op, Function | None]] = []

    def value_of(self, node: ast.expr, op: Op, function: Function | None, late: bool = False) -> Any:
        """What the expression gives where `op` was called, in `function`. Raises UnknownError."""
        before, self._late = self._late, late
        self._contexts.append((op, function))
        try:
            return self.read(node)
        except (UnknownNameError, UnreadableError):
            raise UnknownError(varies=False) from None
        finally:
            self._contexts.pop()
            self._late = before

    def perform(self, statement: ast.stmt, op: Op) -> None:
        """The person's statement, as far as it sets needed names. Raises UnknownError."""
        if not names_written(statement) & self.needed:
            return
        loop = self.function_with_loop
        if isinstance(statement, ast.If):
            taken, other = statement.body, statement.orelse
            if not self.value_of(statement.test, op, loop):
                taken, other = other, taken
            before = dict(self.state)
            with suppress(
                TypeError, ValueError, ArithmeticError
            ):  # it must be known, and need not work in this step
                self._perform_all(other, op)
            self.state.clear()
            self.state.update(before)
            self._perform_all(taken, op)
            return
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        )
        value: ast.expr | None = getattr(statement, "value", None)
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            value = ast.BinOp(ast.Name(statement.target.id, ast.Load()), statement.op, statement.value)
        if value is None or not all(isinstance(target, ast.Name) for target in targets):
            raise UnknownError(varies=True)
        result = self.value_of(value, op, loop)
        self.state.update((target.id, result) for target in targets if isinstance(target, ast.Name))

    def _perform_all(self, statements: list[ast.stmt], op: Op) -> None:
        for statement in statements:
            self.perform(statement, op)

    def _if(self, node: ast.IfExp) -> Any:
        for part in (node.body, node.orelse):
            with suppress(TypeError, ValueError, ArithmeticError):
                self.read(part)
        return super()._if(node)

    # -- names -----------------------------------------------------------------------------------------------------

    def name(self, name: str) -> Any:
        if self.following:
            return _still(self.name_around(name))
        op, function = self._contexts[-1]
        if function is not None and not self._holds_loop(function):
            return self._in_function(name, op, function)
        return self._in_loop(name, op)

    def _in_loop(self, name: str, op: Op) -> Any:
        if name not in self.varying or name in self._inner_variables:
            return self._recorded(name, op)
        self._need(name)
        self.moves = True
        if name not in self.state:
            raise UnknownError(varies=True)
        return self.state[name]

    def _in_function(self, name: str, op: Op, function: Function) -> Any:
        given = [(statement, value) for n, statement, value in assignments(function.body) if n == name]
        parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        names = [parameter.arg for parameter in parameters]
        if given:
            statement, value = given[0]
            if all(isinstance(s, (ast.For, ast.ListComp)) for s, _ in given):
                return self._recorded(name, op)  # of a loop within the step
            if len(given) > 1 or value is None or isinstance(statement, ast.AugAssign) or name in names:
                raise UnknownError(varies=bool(self.varying))
            return self.read(value)
        if name in names:
            return self._parameter(name, op, function)
        assert self.loop is not None
        if not self.loop.site.function and self.loop.site.filename == op.code.co_filename:
            return self._in_loop(name, op)  # a global name, which the loop may set
        return self._recorded(name, op)

    def _parameter(self, name: str, op: Op, function: Function) -> Any:
        """What the one call of the function passes; the recorded number where no call passes one that
        changes."""
        calls = [
            (owner, argument)
            for owner, call in self.source.call_sites(function)
            if (argument := _handed_over(call, function, name)) is not None
        ]
        if len(calls) == 1 and calls[0][0] is not function:
            owner, argument = calls[0]
            return self.value_of(argument, op, owner, self._late)
        for owner, argument in calls:
            here = owner is None or self._holds_loop(owner)
            if not here or names_read(argument) & self.varying:
                raise UnknownError(varies=bool(names_read(argument) - self.tensors))
        return self._recorded(name, op)

    def _recorded(self, name: str, op: Op) -> Any:
        """What a name held when `op` was called: a number, or something that is the same in every step."""
        held = [b for b in self.held[name] if b.when <= op.index]
        here = [b for b in held if b.scope == op.scope] or [b for b in held if b.scope == self.scope] or held
        if here and type(here[-1].value) in _NUMBERS:
            return here[-1].value
        return _still(self._namespace(op).get(name, getattr(builtins, name, None)), name in self.varying)

    def _namespace(self, op: Op) -> dict[str, Any]:
        scope = self.recording.scopes.get(op.scope)
        return scope.namespace if scope is not None else {}

    def call(self, function: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if is_of_library(function) and is_pure(function):
            return function(*arguments, **keywords)
        node = self.source.function(function.__code__) if isinstance(function, FunctionType) else None
        if node is None or node.decorator_list:
            raise UnknownError(varies=False)
        return self.call_of(function, node, arguments, keywords)

    # -- attributes ------------------------------------------------------------------------------------------------

    def _attribute(self, node: ast.Attribute) -> Any:
        """`math.pi`; `self.t`: a constant, or a counter that one statement moves by the same amount in every step."""
        text = ast.unparse(node)
        root, *parts = text.split(".")
        op, _ = self._contexts[-1]
        if not all(part.isidentifier() for part in (root, *parts)):
            raise UnknownError(varies=False)
        owner = self.name_around(root) if self.following else self._namespace(op).get(root)
        if self.following or isinstance(owner, ModuleType):
            is_module = isinstance(owner, ModuleType) and is_of_library(owner)
            return _still(getattr(owner, node.attr, None) if is_module else None)
        writes = self.source.attribute_writes(node.attr)
        held = [b for b in self.held[root] if b.reference is not None]
        here = [b for b in held if b.scope == op.scope] or held
        if here and here[-1].reference is not None:
            known = here[-1].reference()
            owner = owner if known is None else known
        value: Any = owner
        for part in parts:
            value = getattr(value, part, None)
        if type(value) not in (int, float, bool):
            raise UnknownError(varies=bool(writes) and not isinstance(value, torch.Tensor))
        if not writes:
            return value
        moved = moved_by(writes[0][1]) if len(writes) == 1 else None
        if moved is None or not self._once_in_a_step(writes[0][0], owner):
            raise UnknownError(varies=True)
        self.moves = True
        operator, amount = moved
        steps = self.number - self._late
        if isinstance(operator, ast.Mult):
            return value * amount**steps if amount or steps > 0 else value
        return value + amount * steps

    def _once_in_a_step(self, function: Function | None, owner: object) -> bool:
        """Whether a method ran once for an object within the recorded step."""
        if function is None or self._holds_loop(function):
            return True
        scopes = {
            binding.scope
            for binding in self.recording.plain
            if binding.identity == id(owner)
            and self.step.begin < binding.when <= self.step.end
            and (scope := self.recording.scopes.get(binding.scope)) is not None
            and (scope.code.co_name, scope.code.co_firstlineno) == (function.name, first_line_of(function))
        }
        return len(scopes) == 1

    # -- the loop --------------------------------------------------------------------------------------------------

    def counting(self, op: Op) -> tuple[str, Any, Any] | None:
        """The variable of the loop that counts, what it held in the recorded step, and by how much it moves."""
        counting = self.loop.counting() if self.loop is not None else None
        if counting is None or counting[0] not in self.needed:
            return None
        name, first, stride = counting
        by = self.value_of(stride, op, self.function_with_loop)
        held = [
            b.value
            for b in self.held[name]
            if b.scope == self.scope and self.step.begin <= b.when <= self.step.end
        ]
        try:
            at = self.value_of(first, op, self.function_with_loop) + self.step.judged.plan.iteration * by
        except (UnknownError, TypeError):
            at = None
        if held and at not in held:
            at = held[-1]  # the loop is inside of another; it is left after this iteration
        if type(at) not in (int, float):
            raise UnknownError(varies=True)
        return name, at, by

    @cached_property
    def function_with_loop(self) -> Function | None:
        return next((node for node in self.source.functions if self._holds_loop(node)), None)

    def _holds_loop(self, function: Function) -> bool:
        assert self.loop is not None
        inside = function.lineno <= self.loop.node.lineno <= (function.end_lineno or 0)
        return inside and self.loop.site.function.split(".")[-1] == function.name

    @cached_property
    def scope(self) -> int:
        """That the loop is in."""
        if self.loop is None:
            return 0
        site = self.loop.site
        where = site.filename, site.function.split(".")[-1] or "<module>"
        return next((op.scope for op in self.step.ops if (op.code.co_filename, op.code.co_name) == where), 0)

    @cached_property
    def _inner_variables(self) -> set[str]:
        """Of loops within the step: the same in every step."""
        return {
            name
            for node in self._loop_nodes
            if isinstance(node, (ast.For, ast.comprehension))
            for name in names_written(node.target)
        }

    @cached_property
    def _loop_nodes(self) -> list[ast.AST]:
        body = self.loop.body if self.loop is not None else []
        return [node for statement in body for node in ast.walk(statement)]

    @cached_property
    def varying(self) -> set[str]:
        """Names of the loop that may hold another number in the next step."""
        if self.loop is None:
            return set()
        varying = set(self.loop.targets())
        given = list(assignments(self.loop.body))
        changing = self.tensors | self._things()
        growing = True
        while growing:
            before = len(varying)
            for name, statement, value in given:
                read = names_read(value if value is not None else statement, self.tensors)
                if isinstance(statement, ast.AugAssign) or name in read or read & (varying | changing):
                    varying.add(name)
            for node in self._loop_nodes:
                if isinstance(node, (ast.If, ast.While)) and names_read(node.test, self.tensors) & (
                    varying | changing
                ):
                    varying |= names_written(node)
            growing = len(varying) > before
        return varying - self.tensors

    def _things(self) -> set[str]:
        """Names of what is neither a number nor a function, such as a list that grows."""
        scope = self.recording.scopes.get(self.scope)
        known = dict(scope.namespace) if scope is not None else {}
        for held in self.recording.plain:
            if held.identity and held.scope == self.scope:
                known[held.name] = held.reference() if held.reference is not None else None
        return {name for name, value in known.items() if not isinstance(value, _STILL)}

    def _need(self, name: str) -> None:
        """With all that it is computed from."""
        assert self.loop is not None
        if name in self.needed:
            return
        self.needed.add(name)
        counting = self.loop.counting()
        if name in self.loop.targets():
            if counting is None or counting[0] != name:
                raise UnknownError(varies=True)
            return
        for statement in self.loop.body:
            for other in (_read_for(statement, name) & self.varying) - self._inner_variables:
                self._need(other)


def _still(value: Any, varies: bool = False) -> Any:
    if value is None or not isinstance(value, _STILL):
        raise UnknownError(varies)
    return value


def _read_for(statement: ast.stmt, name: str) -> set[str]:
    """What a statement reads to set a name."""
    if name not in names_written(statement):
        return set()
    if isinstance(statement, ast.If):
        inner = (_read_for(s, name) for s in (*statement.body, *statement.orelse))
        return names_read(statement.test).union(*inner)
    return names_read(statement)


def _handed_over(call: ast.Call, function: Function, name: str) -> ast.expr | None:
    """What a call gives for a parameter; the default where it gives nothing."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    positional = [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)]
    if name not in positional:
        return None
    at = positional.index(name)
    if positional[0] in ("self", "cls") and isinstance(call.func, ast.Attribute):
        at -= 1
    if at < len(call.args) and not any(isinstance(a, ast.Starred) for a in call.args[: at + 1]):
        return call.args[at]
    return defaults(function.args).get(name)


def moved_by(statement: ast.stmt) -> tuple[ast.operator, float] | None:
    """`self.t += 1`, `self.lr *= 0.99`, `self.t = self.t + 1`."""
    if isinstance(statement, ast.AugAssign):
        operator, amount = statement.op, statement.value
    elif (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.BinOp)
        and len(statement.targets) == 1
    ):
        if ast.unparse(statement.targets[0]) != ast.unparse(statement.value.left):
            return None
        operator, amount = statement.value.op, statement.value.right
    else:
        return None
    number = amount.value if isinstance(amount, ast.Constant) else None
    if not isinstance(number, (int, float)):
        return None
    if isinstance(operator, ast.Sub):
        return ast.Add(), -number
    return (operator, number) if isinstance(operator, (ast.Add, ast.Mult)) else None
