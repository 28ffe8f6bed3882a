"""What the names in the person's expressions stand for: constants, and variables that change from step to step."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import torch

from gradcheck.fronts.tape import Op, PlainBinding
from gradcheck.isolation.plain_expressions import Rewriter, UnknownError, source_of
from gradcheck.isolation.plain_source import PlainSource
from gradcheck.isolation.step import TrainingStep
from gradcheck.judge.judgement import Judgement
from gradcheck.program.reading.names import assignments, names_read, names_written
from gradcheck.program.reading.tree import Function


class PlainNames:
    """Rewrites expressions of a recorded step over our own variables: `p_lr` for a name of the loop that changes,
    `number` for the number of the replayed step. `needed` are the names that were met and change."""

    def __init__(self, judgement: Judgement, step: TrainingStep) -> None:
        self._recording = judgement.recording
        self._places = judgement.places
        self._step = step
        self._source = PlainSource(judgement.recording, judgement.sources, judgement.places)
        self._loop = self._source.loop(step.begin, step.end)
        self._tensors = {binding.name for binding in judgement.recording.bindings}
        self._constants: dict[str, Any] = {}
        self._needed: set[str] = set()  # names of the loop that change
        self._counters = 0
        self._shift = 0
        self._held: dict[str, list[PlainBinding]] = defaultdict(
            list
        )  # by name, in the order of the recording
        for binding in judgement.recording.plain:
            self._held[binding.name].append(binding)
        self._scope = self._loop_scope()
        self._varying = self._names_that_vary()

    def _rewriter(self, op: Op, function: Function | None) -> Rewriter:
        scope = self._recording.scopes.get(op.scope)
        namespace = scope.namespace if scope is not None else {}
        return Rewriter(
            lambda name: self._name(name, op, function),
            lambda node: self._attribute(node, op),
            namespace,
            self._function_of,
            self._constants,
        )

    def _function_of(self, thing: FunctionType) -> Function | None:
        unit = self._source.sources.unit(thing.__code__.co_filename)
        return unit.tree.function(thing.__code__.co_name, thing.__code__.co_firstlineno) if unit else None

    def _name(self, name: str, op: Op, function: Function | None) -> ast.expr:
        """What a name stands for where `op` was called, in `function`."""
        assert self._loop is not None
        if function is not None and not self._holds_loop(function):
            return self._name_in_function(name, op, function)
        if name in self._varying:
            if name in self._inner_variables():
                return self._recorded(name, op)
            self._need(name, op)
            return ast.Name(f"p_{name}", ast.Load())
        return self._recorded(name, op)

    def _name_in_function(self, name: str, op: Op, function: Function) -> ast.expr:
        given = [(statement, value) for n, statement, value in assignments(function.body) if n == name]
        parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        names = [parameter.arg for parameter in parameters]
        if given:
            statement, value = given[0]
            if all(isinstance(s, (ast.For, ast.ListComp)) for s, _ in given):
                return self._recorded(name, op)  # of a loop within the step
            if len(given) > 1 or value is None or isinstance(statement, ast.AugAssign) or name in names:
                raise UnknownError(varies=bool(self._varying))
            return self._rewriter(op, function).rewrite(value)
        if name in names:
            return self._parameter(name, op, function)
        loop = self._loop
        assert loop is not None
        if not loop.site.function and loop.site.filename == op.code.co_filename:
            return self._name(name, op, None)  # a global name, which the loop may set
        return self._recorded(name, op)

    def _parameter(self, name: str, op: Op, function: Function) -> ast.expr:
        """What the one call of the function hands over; the recorded number, where no call hands over one that
        changes."""
        calls = [
            (owner, argument)
            for _, owner, call in self._source.call_sites(function)
            if (argument := _handed_over(call, function, name)) is not None
        ]
        if len(calls) == 1 and calls[0][0] is not function:
            owner, argument = calls[0]
            return self._rewriter(op, owner).rewrite(argument)
        for owner, argument in calls:
            here = owner is None or self._holds_loop(owner)
            if not here or names_read(argument) & self._varying:
                raise UnknownError(varies=bool(names_read(argument) - self._tensors))
        return self._recorded(name, op)

    def _attribute(self, node: ast.Attribute, op: Op) -> ast.expr:
        """`self.t`: a constant, or a counter that one statement moves by the same amount in every step."""
        text = ast.unparse(node)
        root = text.split(".")[0]
        if not all(part.isidentifier() for part in text.split(".")):
            raise UnknownError(varies=False)
        writes = self._source.attribute_writes(node.attr)
        held = [b for b in self._held[root] if b.reference is not None]
        here = [b for b in held if b.scope == op.scope] or held
        owner = here[-1].reference() if here and here[-1].reference is not None else None
        if owner is None:
            owner = self._namespace(op).get(root)
        value: Any = owner
        for part in text.split(".")[1:]:
            value = getattr(value, part, None)
        if type(value) not in (int, float, bool):
            raise UnknownError(varies=bool(writes) and not isinstance(value, torch.Tensor))
        if not writes:
            return ast.Constant(value)
        moved = moved_by(writes[0][1]) if len(writes) == 1 else None
        if moved is None or not self._once_in_a_step(writes[0][0], owner):
            raise UnknownError(varies=True)
        operator, amount = moved
        self._counters += 1
        if isinstance(operator, ast.Mult):
            was = value * amount**self._shift if amount else value
            grown = ast.BinOp(ast.Constant(amount), ast.Pow(), ast.Name("number", ast.Load()))
            return ast.BinOp(ast.Constant(was), ast.Mult(), grown)
        was = value + self._shift * amount
        grown = ast.BinOp(ast.Constant(amount), ast.Mult(), ast.Name("number", ast.Load()))
        return ast.BinOp(ast.Constant(was), ast.Add(), grown)

    def _once_in_a_step(self, function: Function | None, owner: object) -> bool:
        """Whether a method ran once for an object within the recorded step."""
        if function is None or self._holds_loop(function):
            return True
        scopes = {
            binding.scope
            for binding in self._recording.plain
            if binding.identity == id(owner)
            and self._step.begin < binding.when <= self._step.end
            and (scope := self._recording.scopes.get(binding.scope)) is not None
            and (scope.code.co_name, scope.code.co_firstlineno) == (function.name, function.lineno)
        }
        return len(scopes) == 1

    def _recorded(self, name: str, op: Op) -> ast.expr:
        """The number that a name held when `op` was called."""
        held = [b for b in self._held[name] if b.when <= op.index]
        here = [b for b in held if b.scope == op.scope] or [b for b in held if b.scope == self._scope] or held
        value: Any = here[-1].value if here else self._namespace(op).get(name)
        if type(value) not in (int, float, bool, str):
            raise UnknownError(varies=name in self._varying)
        return ast.Constant(value)

    def _namespace(self, op: Op) -> dict[str, Any]:
        scope = self._recording.scopes.get(op.scope)
        return scope.namespace if scope is not None else {}

    # -- the loop ----------------------------------------------------------------------------------------------------

    def _holds_loop(self, function: Function) -> bool:
        assert self._loop is not None
        inside = function.lineno <= self._loop.node.lineno <= (function.end_lineno or 0)
        return inside and self._loop.site.function.split(".")[-1] == function.name

    def _loop_scope(self) -> int:
        if self._loop is None:
            return 0
        site = self._loop.site
        for op in self._step.ops:
            name = op.code.co_name
            if op.code.co_filename == site.filename and name == (site.function.split(".")[-1] or "<module>"):
                return op.scope
        return 0

    def _inner_variables(self) -> set[str]:
        """Of loops within the step: the same in every step."""
        assert self._loop is not None
        return {
            name
            for statement in self._loop.body
            for node in ast.walk(statement)
            if isinstance(node, (ast.For, ast.comprehension))
            for name in names_written(node.target)
        }

    def _names_that_vary(self) -> set[str]:
        """Names of the loop that may hold another number in the next step."""
        if self._loop is None:
            return set()
        varying = set(self._loop.targets())
        given = list(assignments(self._loop.body))
        changing = self._tensors | self._things()
        growing = True
        while growing:
            before = len(varying)
            for name, statement, value in given:
                read = names_read(value if value is not None else statement, self._tensors)
                moves = isinstance(statement, ast.AugAssign) or name in read
                if moves or read & (varying | changing):
                    varying.add(name)
            for node in (node for statement in self._loop.body for node in ast.walk(statement)):
                asks = isinstance(node, (ast.If, ast.While))
                if asks and names_read(node.test, self._tensors) & (varying | changing):  # type: ignore[attr-defined]
                    varying |= names_written(node)
            growing = len(varying) > before
        return varying - self._tensors

    def _things(self) -> set[str]:
        """Names of what is neither a number nor a function, such as a list that grows."""
        scope = self._recording.scopes.get(self._scope)
        known = dict(scope.namespace) if scope is not None else {}
        for held in self._recording.plain:
            if held.identity and held.scope == self._scope:
                known[held.name] = held.reference() if held.reference is not None else None
        still = (int, float, bool, str, ModuleType, FunctionType, BuiltinFunctionType, type)
        return {name for name, value in known.items() if not isinstance(value, still)}

    def _need(self, name: str, op: Op) -> None:
        """Makes sure that every statement of the loop that sets `name` can be followed."""
        assert self._loop is not None
        if name in self._needed:
            return
        self._needed.add(name)
        counting = self._loop.counting()
        if name in self._loop.targets():
            if counting is None or counting[0] != name:
                raise UnknownError(varies=True)
            return
        try:
            for statement in self._loop.body:
                if name in names_written(statement):
                    list(self._translated(statement, {name}, op))
        except UnknownError:
            raise UnknownError(varies=True) from None

    def _translated(self, statement: ast.stmt, wanted: set[str], op: Op) -> Iterator[str]:
        """The person's statement over our variables, as far as it sets `wanted`."""
        rewrite = self._rewriter(op, self._function_with_loop()).rewrite
        if not names_written(statement) & wanted:
            return
        if isinstance(statement, ast.Assign) and all(isinstance(t, ast.Name) for t in statement.targets):
            source = source_of(rewrite(statement.value))
            for target in statement.targets:
                assert isinstance(target, ast.Name)
                yield f"p_{target.id} = {source}"
        elif (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value
        ):
            yield f"p_{statement.target.id} = {source_of(rewrite(statement.value))}"
        elif isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            whole = ast.BinOp(ast.Name(name, ast.Load()), statement.op, statement.value)
            yield f"p_{name} = {source_of(rewrite(whole))}"
        elif isinstance(statement, ast.If):
            yield f"if {source_of(rewrite(statement.test))}:"
            body = [line for inner in statement.body for line in self._translated(inner, wanted, op)]
            yield from (f"    {line}" for line in body or ["pass"])
            other = [line for inner in statement.orelse for line in self._translated(inner, wanted, op)]
            if other:
                yield "else:"
                yield from (f"    {line}" for line in other)
        else:
            raise UnknownError(varies=True)

    def _function_with_loop(self) -> Function | None:
        return next((node for _, node in self._source.functions if self._holds_loop(node)), None)

    def _counted(self, name: str, first: ast.expr, stride: ast.expr, op: Op) -> str:
        """The loop's variable over the `number` of the replayed step."""
        rewrite = self._rewriter(op, self._function_with_loop()).rewrite
        by = source_of(rewrite(stride))
        held = [
            b.value
            for b in self._held[name]
            if b.scope == self._scope and self._step.begin <= b.when <= self._step.end
        ]
        try:
            at = eval(
                f"{source_of(rewrite(first))} + {self._step.judged.plan.iteration} * {by}",
                dict(self._constants),
            )
        except (UnknownError, NameError, TypeError):
            at = None
        if held and at not in held:
            at = held[-1]  # the loop is inside of another; it is left after this iteration
        if type(at) not in (int, float):
            raise UnknownError(varies=True)
        return f"p_{name} = {at!r} + number * {by}"


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
    defaults = function.args.defaults
    back = len(positional) - positional.index(name)
    return defaults[-back] if back <= len(defaults) else None


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
